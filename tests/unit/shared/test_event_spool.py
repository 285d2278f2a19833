"""Facts wait on disk while Kafka is away, and arrive in their order when it is back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
from aiokafka.errors import KafkaConnectionError
from prometheus_client import REGISTRY

from shared.adapters.event_spool import EventSpool
from shared.adapters.kafka_event_sink import KafkaEventSink, connect_kafka_event_sink
from shared.domain.events import Event, ProviderCalled
from tests.support.fake_batch import FakeBatch

MAX_BYTES = 1 << 20


class FakeKafka:
    """A producer that acknowledges, refuses, or keeps what it takes until it can send it."""

    def __init__(self) -> None:
        self.arrived: list[int] = []
        self.is_refusing = False
        self.is_silent = False
        self.most_in_batch = 100
        self._late: list[tuple[asyncio.Future[object], list[int]]] = []

    async def partitions_for(self, topic: str) -> set[int]:
        return {0, 1, 2}

    def create_batch(self) -> FakeBatch:
        return FakeBatch(self.most_in_batch)

    async def send_batch(self, batch: FakeBatch, topic: str, *, partition: int) -> asyncio.Future[object]:
        return self._take([value for _, value in batch.records])

    async def send(
        self, topic: str, value: bytes, *, key: bytes | None, partition: int
    ) -> asyncio.Future[object]:
        return self._take([value])

    def _take(self, values: list[bytes]) -> asyncio.Future[object]:
        if self.is_refusing:
            raise KafkaConnectionError
        ack: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._late.append((ack, [orjson.loads(value)["attempt"] for value in values]))
        if not self.is_silent:
            self.speak()
        return ack

    def speak(self) -> None:
        for ack, numbers in self._late:
            self.arrived += numbers
            ack.set_result(None)
        self._late = []


def fact(number: int) -> Event:
    return ProviderCalled(
        owner="public", request_id="a", model="m", attempt=number, outcome="succeeded", latency_ms=1.0
    )


@asynccontextmanager
async def sink_over(kafka: FakeKafka, folder: Path) -> AsyncIterator[KafkaEventSink]:
    async with connect_kafka_event_sink(
        kafka,
        metrics_topic="metrics",
        error_topic="errors",
        spool_folder=folder,
        max_bytes=MAX_BYTES,
    ) as sink:
        yield sink


async def until_arrived(kafka: FakeKafka, count: int) -> None:
    async with asyncio.timeout(20):
        while len(kafka.arrived) < count:
            await asyncio.sleep(0.01)


def dropped() -> float:
    return REGISTRY.get_sample_value("llm_events_dropped_total") or 0.0


def left_in(folder: Path) -> list[int]:
    return [
        orjson.loads(line)["attempt"]
        for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)
        for line in path.read_bytes().splitlines()
    ]


async def test_what_kafka_takes_never_sees_the_disk(tmp_path: Path) -> None:
    kafka, folder = FakeKafka(), tmp_path / "spool"
    async with sink_over(kafka, folder) as sink:
        for number in range(3):
            sink.emit(fact(number))
    assert kafka.arrived == [0, 1, 2]
    assert not folder.exists()


async def test_a_fact_that_is_no_json_is_dropped_alone_and_costs_no_job(tmp_path: Path) -> None:
    kafka, before = FakeKafka(), dropped()
    unspeakable = fact(1)
    unspeakable.owner = object()  # type: ignore[assignment]
    async with sink_over(kafka, tmp_path / "spool") as sink:
        for event in (fact(0), unspeakable, fact(2)):
            sink.emit(event)
    assert kafka.arrived == [0, 2]
    assert dropped() == before + 1


@pytest.mark.parametrize("most", [0, 1, 2])
async def test_what_does_not_fit_into_a_batch_goes_into_the_next_one_or_alone(
    tmp_path: Path, most: int
) -> None:
    kafka = FakeKafka()
    kafka.most_in_batch = most
    async with sink_over(kafka, tmp_path) as sink:
        for number in range(5):
            sink.emit(fact(number))
        await sink.settled()
        assert kafka.arrived == [0, 1, 2, 3, 4], "settled: nothing of them is in this process alone"


async def test_what_is_settled_while_kafka_refuses_is_on_disk(tmp_path: Path) -> None:
    kafka = FakeKafka()
    kafka.is_refusing = True
    async with sink_over(kafka, tmp_path) as sink:
        sink.emit(fact(0))
        await sink.settled()
        assert left_in(tmp_path) == [0]


async def test_what_kafka_refuses_waits_and_what_comes_meanwhile_goes_behind_it(tmp_path: Path) -> None:
    kafka = FakeKafka()
    kafka.is_refusing = True
    async with sink_over(kafka, tmp_path) as sink:
        for number in range(3):
            sink.emit(fact(number))
        await sink.flush()
        sink.emit(fact(3))
        await sink.flush()
        assert left_in(tmp_path) == [0, 1, 2, 3]
        kafka.is_refusing = False
        sink.emit(fact(4))
        await until_arrived(kafka, 5)
    assert kafka.arrived == [0, 1, 2, 3, 4]
    assert left_in(tmp_path) == []


async def test_an_ack_that_is_late_is_waited_for_and_nothing_is_sent_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.adapters.kafka_event_sink._SEND_SECONDS", 0.05)
    kafka = FakeKafka()
    kafka.is_silent = True
    async with sink_over(kafka, tmp_path) as sink:
        sink.emit(fact(0))
        await sink.flush()
        sink.emit(fact(1))
        await sink.flush()
        kafka.is_silent = False
        kafka.speak()
        await until_arrived(kafka, 2)
    assert kafka.arrived == [0, 1]
    assert left_in(tmp_path) == []


async def test_what_a_process_left_is_sent_by_the_next_one_before_its_own(tmp_path: Path) -> None:
    kafka = FakeKafka()
    kafka.is_refusing = True
    async with sink_over(kafka, tmp_path) as sink:
        sink.emit(fact(0))
        sink.emit(fact(1))
    assert left_in(tmp_path) == [0, 1]
    kafka.is_refusing = False
    async with sink_over(kafka, tmp_path) as sink:
        sink.emit(fact(2))
        await until_arrived(kafka, 3)
    assert kafka.arrived == [0, 1, 2]
    assert left_in(tmp_path) == []


def test_a_spool_belongs_to_one_process_and_a_half_line_blocks_nothing(tmp_path: Path) -> None:
    one = EventSpool(tmp_path, MAX_BYTES)
    assert one.append([b"a", b"b"]) == 2
    other = EventSpool(tmp_path, MAX_BYTES)
    assert other.is_empty
    one.close()
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"a\nb\nhalf of a l")
    before = dropped()
    heir = EventSpool(tmp_path, MAX_BYTES)
    assert heir.head(10) == [b"a", b"b"]
    assert dropped() == before + 1
    heir.drop_head(2)
    assert heir.is_empty
    assert not [*tmp_path.iterdir()]


def test_a_full_spool_drops_the_newest_and_counts_them(tmp_path: Path) -> None:
    before, spool = dropped(), EventSpool(tmp_path, max_bytes=8)
    assert spool.append([b"one", b"two", b"three"]) == 2
    assert spool.append([b"four"]) == 0
    assert dropped() == before + 2
    assert spool.head(10) == [b"one", b"two"]
    spool.drop_head(1)
    assert spool.head(10) == [b"two"]
    spool.drop_head(1)
    assert spool.append([b"five"]) == 1
    assert REGISTRY.get_sample_value("llm_events_spooled") == 1
    spool.close()


def test_a_disk_that_cannot_be_written_costs_the_facts_alone(tmp_path: Path) -> None:
    (tmp_path / "occupied").write_text("a file where a folder should be")
    before = dropped()
    assert EventSpool(tmp_path / "occupied" / "spool", MAX_BYTES).append([b"one"]) == 0
    assert dropped() == before + 1
