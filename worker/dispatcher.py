"""Many records in flight, and never a commit above an unfinished one.

FastStream offers concurrency or at-least-once; this gives both. The subscriber hands every record to `admit`,
which returns as soon as there is room. Records finish in any order, and only the watermark of each partition
is committed. See `worker/README.md`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from loguru import logger

from shared.background import in_background
from shared.domain.priority import PRIORITIES, Priority, Weights
from worker.lane_gate import LaneGate, Turn
from worker.ledger import Ledger
from worker.ports import Record
from worker.slots import Slots
from worker.window import Window

Handle = Callable[[Record], Awaitable[float | None]]
"""Process a record: None when it is finished, else the seconds after which to look again."""

Fetch = Callable[[int], Awaitable[Mapping[TopicPartition, Sequence[Record]]]]
"""What has been fetched already, at most so many records."""

_MOST_TOGETHER = 100
_COMMIT_SECONDS = 0.5
_COMMIT_TIMEOUT_SECONDS = 5.0
_CRASHED_SECONDS = 5.0


class Consumer(Protocol):
    """The part of aiokafka's consumer that the dispatcher steers."""

    def pause(self, *partitions: TopicPartition) -> None: ...
    def resume(self, *partitions: TopicPartition) -> None: ...
    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """How much at once."""

    window_jobs: int
    window_bytes: int
    partition_span: int
    patience_seconds: float
    """The longest wait for room: well below the poll interval after which Kafka takes the partitions away."""


@dataclass(frozen=True, slots=True)
class Lanes:
    """Which topic is which lane, and how much each counts while others wait too."""

    by_topic: Mapping[str, Priority]
    weights: Weights

    def of(self, topic: str) -> Priority:
        return self.by_topic.get(topic, "normal")


ONE_LANE = Lanes({}, dict.fromkeys(PRIORITIES, 1))


class Dispatcher:
    """Runs `handle` for every admitted record and commits watermarks."""

    def __init__(
        self,
        handle: Handle,
        limits: Limits,
        slots: Slots,
        *,
        settled: Callable[[], Awaitable[None]] | None = None,
        lanes: Lanes = ONE_LANE,
    ) -> None:
        self._handle = handle
        self.lanes = lanes
        self._settled = settled
        """Awaited before a commit: what was told of its records outlives this process."""
        self._limits = limits
        self._window = Window(limits.window_jobs, limits.window_bytes)
        self._gate = LaneGate(self._window, lanes.weights, limits.patience_seconds)
        self._slots = slots
        self._ledgers: dict[TopicPartition, Ledger] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._commit_lock = asyncio.Lock()
        self._consumer: Consumer | None = None
        self._is_leaving = False

    def attach(self, consumer: Consumer) -> None:
        """The consumer whose records come."""
        self._consumer = consumer

    @property
    def in_flight(self) -> int:
        """Records held now."""
        return self._window.jobs

    @property
    def slots(self) -> int:
        """How many are processed at once."""
        return self._slots.most

    def waiting(self, priority: Priority) -> int:
        """Records of a lane that wait here for a slot."""
        return self._slots.waiting(priority)

    async def admit(self, record: Record, fetch: Fetch | None = None) -> None:
        """Take a record, when there is room for it, and what was fetched with it.

        The ledger is looked up before the wait. If a rebalance comes in between, it is dead, and the record
        is left to the partition's next owner, who gets it again.
        """
        partition = TopicPartition(record.topic, record.partition)
        ledger = self._ledger(partition)
        priority = self.lanes.of(record.topic)
        turn = await self._gate.begin(priority)
        try:
            await self._gate.wait_for_room(turn)
            if ledger.is_alive and not self._is_leaving:
                self._enter(record, partition, ledger, priority)
            turn.left -= 1
            if fetch is not None:
                await self._take_more(turn, fetch, priority)
        finally:
            self._gate.end(turn)

    async def _take_more(self, turn: Turn, fetch: Fetch, priority: Priority) -> None:
        """Until nothing is left there, or the turn ends."""
        while not self._is_leaving:
            if turn.left > 0 and self._gate.is_contended:
                await self._gate.wait_for_room(turn)
            most = min(self._gate.room(turn), _MOST_TOGETHER)
            if most <= 0 or not (fetched := await fetch(most)):
                return
            turn.left -= self._take(fetched, priority)

    def _take(self, records: Mapping[TopicPartition, Sequence[Record]], priority: Priority) -> int:
        """How many. Their ledgers are looked up before anything is awaited."""
        if self._is_leaving:
            return 0
        for partition, fetched in records.items():
            ledger = self._ledger(partition)
            for record in fetched:
                self._enter(record, partition, ledger, priority)
        return sum(map(len, records.values()))

    def _ledger(self, partition: TopicPartition) -> Ledger:
        ledger = self._ledgers.get(partition)
        if ledger is None:
            ledger = self._ledgers[partition] = Ledger()
        return ledger

    def _enter(self, record: Record, partition: TopicPartition, ledger: Ledger, priority: Priority) -> None:
        size_bytes = len(record.value or b"")
        self._window.enter(size_bytes)
        ledger.take(record.offset)
        self._pause_if_spread(partition, ledger)
        task = asyncio.create_task(self._run(record, partition, ledger, priority, size_bytes))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def revoke(self, partitions: Iterable[TopicPartition]) -> None:
        """Commit what is finished and let go. Running calls go on and store their results."""
        await self.commit()
        for partition in partitions:
            ledger = self._ledgers.pop(partition, None)
            if ledger is not None:
                ledger.end()

    async def commit(self) -> None:
        """Commit every watermark that moved; a failure costs a redelivery, never a job."""
        async with self._commit_lock:
            offsets = self._moved_watermarks()
            if not offsets or self._consumer is None:
                return
            try:
                async with asyncio.timeout(_COMMIT_TIMEOUT_SECONDS):
                    if self._settled is not None:
                        await self._settled()
                    await self._consumer.commit(offsets)
            except (KafkaError, TimeoutError) as fault:
                logger.bind(fault=type(fault).__name__, partitions=len(offsets)).warning("commit_failed")
                return
            except Exception:
                logger.exception("commit_crashed")
                return
            for partition, offset in offsets.items():
                if partition in self._ledgers:
                    self._ledgers[partition].committed_offset = offset

    async def commit_forever(self) -> None:
        while True:
            await asyncio.sleep(_COMMIT_SECONDS)
            await self.commit()

    async def leave(self) -> None:
        """Admit nothing more and commit: the step before the consumer leaves its group."""
        self._is_leaving = True
        self._window.open()
        await self.commit()

    async def finish(self, seconds: float) -> int:
        """After the group is left: let running calls end. Returns how many had to be cut off."""
        for ledger in self._ledgers.values():
            ledger.end()
        self._ledgers.clear()
        if not self._tasks:
            return 0
        _, running = await asyncio.wait(set(self._tasks), timeout=seconds)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        return len(running)

    async def _run(
        self,
        record: Record,
        partition: TopicPartition,
        ledger: Ledger,
        priority: Priority,
        size_bytes: int,
    ) -> None:
        try:
            while ledger.is_alive:
                look_again_seconds = await self._handle_in_slot(record, ledger, priority)
                if look_again_seconds is None:
                    ledger.finish(record.offset)
                    self._resume_if_caught_up(partition, ledger)
                    return
                await ledger.sleep(look_again_seconds)
        finally:
            self._window.leave(size_bytes)

    async def _handle_in_slot(self, record: Record, ledger: Ledger, priority: Priority) -> float | None:
        await self._slots.acquire(priority)
        try:
            if not ledger.is_alive:
                return 0  # it waited for a slot, and the partition went to another worker
            return await self._handle(record)
        except Exception:
            # The record keeps its place: a fault of ours must be seen, not skipped.
            logger.bind(partition=record.partition, offset=record.offset).exception("handler_crashed")
            return _CRASHED_SECONDS
        finally:
            self._slots.release()

    def _moved_watermarks(self) -> dict[TopicPartition, int]:
        return {
            partition: ledger.watermark
            for partition, ledger in self._ledgers.items()
            if ledger.watermark > ledger.committed_offset
        }

    def _pause_if_spread(self, partition: TopicPartition, ledger: Ledger) -> None:
        if not ledger.is_paused and ledger.span >= self._limits.partition_span and self._consumer is not None:
            ledger.is_paused = True
            self._consumer.pause(partition)

    def _resume_if_caught_up(self, partition: TopicPartition, ledger: Ledger) -> None:
        is_caught_up = ledger.span <= self._limits.partition_span // 2
        if ledger.is_paused and ledger.is_alive and is_caught_up and self._consumer is not None:
            ledger.is_paused = False
            self._consumer.resume(partition)


@asynccontextmanager
async def commit_in_background(dispatcher: Dispatcher) -> AsyncIterator[None]:
    """Commit watermarks while the block runs."""
    async with in_background(dispatcher.commit_forever()):
        yield
