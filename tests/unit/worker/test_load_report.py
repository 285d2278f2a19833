"""A worker tells what waits for it: what it has not read, and what it holds without running it."""

import asyncio
from collections.abc import Iterable, Mapping

from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from prometheus_client import REGISTRY

from shared.domain.priority import parse_weights
from shared.domain.queue_load import WorkerLoad
from shared.ports import StoreUnavailable
from shared.settings import load_settings
from tests.support.jobs import make_job
from worker.dispatcher import Dispatcher, Lanes, Limits
from worker.load_report import LoadReport, measure
from worker.replica import OwnReport
from worker.run_meter import RunMeter
from worker.settings import WorkerSettings
from worker.slots import Slots

PARTITIONS = {TopicPartition("jobs", number): number * 100 for number in (0, 1)}
LIMITS = Limits(window_jobs=10, window_bytes=1000, partition_span=10, patience_seconds=1)


class Consumer:
    """Has read ten records of each partition."""

    fault: Exception | None = None

    def assignment(self) -> Iterable[TopicPartition]:
        return frozenset(PARTITIONS)

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault
        return {partition: PARTITIONS[partition] + 10 for partition in partitions}

    async def position(self, partition: TopicPartition) -> int:
        return PARTITIONS[partition] + 4


class HeldRecord:
    """As Kafka would hand it over."""

    topic, partition, offset, timestamp = "jobs", 0, 0, 0
    key = headers = None
    value = make_job().id.request_id.encode()


async def never_ends(_: object) -> float | None:
    await asyncio.Event().wait()
    return None


async def test_what_is_unread_and_what_is_held_waits() -> None:
    dispatcher, meter = Dispatcher(never_ends, LIMITS, Slots(1)), RunMeter()
    for _ in range(3):
        await dispatcher.admit(HeldRecord())  # type: ignore[arg-type]
    with meter.run():
        load = await measure(Consumer(), dispatcher, meter)
    assert (load.waiting, load.running, load.slots) == (2 * 6 + 2, 1, 1)
    await dispatcher.finish(0)


async def test_what_waits_in_another_lane_is_told_apart() -> None:
    lanes = Lanes({"jobs": "low"}, parse_weights("6:3:1"))
    dispatcher, meter = Dispatcher(never_ends, LIMITS, Slots(1), lanes=lanes), RunMeter()
    for _ in range(3):
        await dispatcher.admit(HeldRecord())  # type: ignore[arg-type]
    await asyncio.sleep(0)
    with meter.run():
        load = await measure(Consumer(), dispatcher, meter)
    assert (load.waiting, load.waiting_high, load.waiting_low) == (2 * 6 + 2, 0, 2 * 6 + 2)
    await dispatcher.finish(0)


async def test_a_fault_costs_one_report() -> None:
    told: asyncio.Queue[WorkerLoad] = asyncio.Queue()
    consumer = Consumer()
    faults = iter([StoreUnavailable("away")])

    async def tell(load: WorkerLoad) -> None:
        for fault in faults:
            raise fault
        told.put_nowait(load)

    consumer.fault = KafkaConnectionError()
    report = LoadReport(Dispatcher(never_ends, LIMITS, Slots(1)), RunMeter(), tell, every_seconds=0.01)
    task = asyncio.create_task(report.tell_forever(consumer))
    async with asyncio.timeout(10):
        assert (await told.get()).waiting == 12
        assert REGISTRY.get_sample_value("llm_worker_waiting_jobs") == 12
        await told.get()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_it_knows_whether_kafka_said_how_far_it_is() -> None:
    told: asyncio.Queue[bool] = asyncio.Queue()
    consumer = Consumer()

    async def tell(_: WorkerLoad) -> None:
        told.put_nowait(report.is_cut_off)

    report = LoadReport(Dispatcher(never_ends, LIMITS, Slots(1)), RunMeter(), tell, every_seconds=0.01)
    own = OwnReport(
        load_settings(WorkerSettings, _env_file=None), RunMeter(), report, stop := asyncio.Event()
    )
    assert own().state == "well"
    consumer.fault = KafkaConnectionError()
    task = asyncio.create_task(report.tell_forever(consumer))
    await asyncio.sleep(0)  # it has asked, in vain
    assert own().state == "no kafka"
    async with asyncio.timeout(10):
        assert await told.get() is False
    assert (own().state, own().kind, own().room) == ("well", "worker", 1000)
    stop.set()
    assert own().state == "leaving"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
