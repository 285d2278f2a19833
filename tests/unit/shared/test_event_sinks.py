"""Facts go to Kafka, or to the file; no job waits for them and no fault of theirs is a job's."""

import asyncio
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from shared.adapters.file_event_sink import FileEventSink, encode_event
from shared.adapters.kafka_event_sink import connect_kafka_event_sink
from shared.domain.events import Event, JobFailed, ProviderCalled
from tests.support.fake_batch import FakeBatch, acknowledged

_MAX_BYTES = 1 << 20


class FakeProducer:
    """Acknowledges."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes | None, str]] = []

    async def partitions_for(self, topic: str) -> set[int]:
        return {0, 1, 2}

    def create_batch(self) -> FakeBatch:
        return FakeBatch()

    async def send_batch(self, batch: FakeBatch, topic: str, *, partition: int) -> asyncio.Future[object]:
        self.sent += [(topic, key, orjson.loads(value)["event"]) for key, value in batch.records]
        return acknowledged()


def called() -> Event:
    return ProviderCalled(
        owner="public", request_id="a", model="m", attempt=1, outcome="succeeded", latency_ms=1.0
    )


def failed() -> Event:
    return JobFailed(owner=None, request_id=None, error={"error_code": "INVALID_JSON"}, attempt=0)


def written(path: Path) -> list[str]:
    return [orjson.loads(line)["event"] for line in path.read_bytes().splitlines()]


async def test_metrics_and_errors_have_topics_of_their_own(tmp_path: Path) -> None:
    producer = FakeProducer()
    async with connect_kafka_event_sink(
        producer,
        metrics_topic="metrics",
        error_topic="errors",
        spool_folder=tmp_path / "spool",
        max_bytes=_MAX_BYTES,
    ) as sink:
        sink.emit(called())
        sink.emit(failed())
    assert sorted(producer.sent, key=str) == [
        ("errors", None, "job_failed"),
        ("metrics", b"a", "provider_called"),
    ]
    assert not (tmp_path / "spool").exists()


async def test_a_file_that_cannot_be_written_costs_the_fact_alone(tmp_path: Path) -> None:
    (tmp_path / "occupied").write_text("a file where a folder should be")
    sink = FileEventSink(tmp_path / "occupied" / "events.jsonl", _MAX_BYTES)
    sink.emit(called())
    (tmp_path / "occupied").unlink()
    sink.emit(called())
    sink.close()
    assert written(tmp_path / "occupied" / "events.jsonl") == ["provider_called"], "it tries again"


def test_a_full_file_makes_room_and_the_one_before_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    line = len(encode_event(called())) + 1
    sink = FileEventSink(path, max_bytes=2 * line)
    for _ in range(5):
        sink.emit(called())
    sink.close()
    assert len(written(path)) == 1
    assert len(written(tmp_path / "events.jsonl.1")) == 2
    assert len([*tmp_path.iterdir()]) == 2, "what is older is gone: the disk is bounded"


def test_a_file_that_was_moved_away_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.adapters.file_event_sink._REOPEN_SECONDS", 0.0)
    path = tmp_path / "events.jsonl"
    with closing(FileEventSink(path, _MAX_BYTES)) as sink:
        sink.emit(called())
        path.rename(tmp_path / "kept")
        sink.emit(called())
    assert written(path) == written(tmp_path / "kept") == ["provider_called"]
