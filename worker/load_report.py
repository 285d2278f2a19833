"""What this worker tells the gateways of its queue, once a second."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from loguru import logger

from shared.domain.priority import Priority
from shared.domain.queue_load import WorkerLoad
from shared.fault_text import describe
from shared.ports import StoreUnavailable
from worker.dispatcher import Dispatcher
from worker.metrics import WAITING_JOBS
from worker.run_meter import RunMeter

_REPORT_SECONDS = 1.0
_ASK_SECONDS = 5.0


class Positions(Protocol):
    """The part of aiokafka's consumer that knows how far it is."""

    def assignment(self) -> Iterable[TopicPartition]: ...
    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]: ...
    async def position(self, partition: TopicPartition) -> int: ...


Tell = Callable[[WorkerLoad], Awaitable[None]]


class LoadReport:
    """The load of this worker, told to whoever wants to know."""

    def __init__(
        self, dispatcher: Dispatcher, meter: RunMeter, tell: Tell, *, every_seconds: float = _REPORT_SECONDS
    ) -> None:
        self._dispatcher = dispatcher
        self._meter = meter
        self._tell = tell
        self._every_seconds = every_seconds
        self.is_cut_off = False
        """Kafka did not say how far it is when it was asked last."""

    async def tell_forever(self, consumer: Positions) -> None:
        """From now on. A report that is missing lets jobs in, so a fault is no more than a line."""
        while True:
            try:
                load = await self._measured(consumer)
                WAITING_JOBS.set(load.waiting)
                async with asyncio.timeout(_ASK_SECONDS):
                    await self._tell(load)
            except (KafkaError, StoreUnavailable, TimeoutError) as fault:
                logger.bind(fault=describe(fault)).debug("load_not_told")
            await asyncio.sleep(self._every_seconds)

    async def _measured(self, consumer: Positions) -> WorkerLoad:
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                load = await measure(consumer, self._dispatcher, self._meter)
        except (KafkaError, TimeoutError):
            self.is_cut_off = True
            raise
        self.is_cut_off = False
        return load


async def measure(consumer: Positions, dispatcher: Dispatcher, meter: RunMeter) -> WorkerLoad:
    """What is not begun: still in Kafka, or held here without a slot."""
    ends = await consumer.end_offsets(list(consumer.assignment()))
    unread: Counter[Priority] = Counter()
    for partition, end in ends.items():
        unread[dispatcher.lanes.of(partition.topic)] += end - await consumer.position(partition)
    held = max(0, dispatcher.in_flight - meter.running)
    return WorkerLoad(
        waiting=unread.total() + held,
        waiting_high=max(0, unread["high"] + dispatcher.waiting("high")),
        waiting_low=max(0, unread["low"] + dispatcher.waiting("low")),
        running=meter.running,
        run_seconds=meter.run_seconds,
        slots=dispatcher.slots,
    )
