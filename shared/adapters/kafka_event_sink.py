"""Facts as records on `llm-metrics` and `llm-errors`, in the background and in their order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import groupby
from pathlib import Path

from aiokafka import AIOKafkaProducer
from loguru import logger

from shared.adapters.event_spool import EventSpool
from shared.adapters.file_event_sink import encode_event
from shared.adapters.kafka_event_records import Ack, EventRecords, Fact
from shared.background import end
from shared.domain.events import Event, JobFailed
from shared.telemetry.event_metrics import EVENTS_DROPPED, EVENTS_RESENT

_MOST_WAITING = 100_000
_MOST_AT_ONCE = 2_000
_MOST_RESENT_AT_ONCE = 500
_GATHER_SECONDS = 0.2
"""A request to a broker costs as much as thirty facts in it."""
_SEND_SECONDS = 10.0
_RETRY_SECONDS = 1.0
_FLUSH_SECONDS = 5.0


@asynccontextmanager
async def connect_kafka_event_sink(
    producer: AIOKafkaProducer, *, metrics_topic: str, error_topic: str, spool_folder: Path, max_bytes: int
) -> AsyncIterator["KafkaEventSink"]:
    """A sink whose sender runs; what is waiting at the end is sent, or left in the spool."""
    spool = await asyncio.to_thread(EventSpool, spool_folder, max_bytes)
    sink = KafkaEventSink(EventRecords(producer, metrics_topic, error_topic), spool)
    task = asyncio.create_task(sink.send_forever())
    try:
        yield sink
    finally:
        await sink.flush()
        await end(task)
        sink.leave()


class KafkaEventSink:
    """`EventSink` over Kafka.

    As long as anything is in the spool, whatever is told goes behind it. aiokafka keeps what it took until it
    can send it, so a fact whose ack is late is not sent again while the process lives.
    """

    def __init__(self, records: EventRecords, spool: EventSpool) -> None:
        self._records = records
        self._spool = spool
        self._waiting: list[Fact] = []
        self._is_idle = False
        self._told = asyncio.Event()
        self._in_hand: Sequence[Fact] = ()
        self._late: list[Ack] = []
        """Of the first lines in the spool: sent, not acked."""
        self._is_full = False
        self._taken = self._settled = 0
        self._step_done = asyncio.Event()

    def emit(self, event: Event) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            self._drop()
            return
        try:
            self._waiting.append((event.request_id, isinstance(event, JobFailed), encode_event(event)))
        except TypeError:  # a fact costs no job
            logger.exception("event_not_encoded")
            EVENTS_DROPPED.inc()
            return
        if self._is_idle:
            self._is_idle = False
            self._told.set()

    def _drop(self) -> None:
        EVENTS_DROPPED.inc()
        if not self._is_full:
            logger.error("events_dropped", fault="more facts wait than memory holds")
        self._is_full = True

    async def send_forever(self) -> None:
        while True:
            count = await self._gather()
            try:
                await self._step()
            except Exception:
                logger.exception("event_sender_crashed")
                EVENTS_DROPPED.inc(len(self._in_hand))
                await asyncio.sleep(_RETRY_SECONDS)
            self._in_hand = ()
            self._settle(count)

    async def settled(self) -> None:
        """Return when all that was told until now is sent or spooled: it outlives this process."""
        told = self._taken + len(self._waiting)
        while self._settled < told:
            await self._step_done.wait()

    def _settle(self, count: int) -> None:
        self._settled += count
        self._step_done.set()
        self._step_done = asyncio.Event()

    async def _step(self) -> None:
        if self._spool.is_empty:
            await self._send_new()
        else:
            await self._spool_in_hand()
            await self._send_spooled()

    async def flush(self) -> None:
        """Return when all is sent or spooled, or when it takes too long."""
        try:
            async with asyncio.timeout(_FLUSH_SECONDS):
                await self.settled()
        except TimeoutError:
            logger.bind(waiting=len(self._waiting)).warning("events_not_sent")

    def leave(self) -> None:
        """What the sender had not sent is left in the spool."""
        if facts := [*self._in_hand, *self._waiting]:
            self._spool.append([line for _, _, line in facts])
        self._spool.close()

    async def _gather(self) -> int:
        """Take what waits in hand; wait for it only if there is nothing else to do."""
        if self._spool.is_empty:
            if not self._waiting:
                await self._until_told()
            if len(self._waiting) < _MOST_AT_ONCE:
                await asyncio.sleep(_GATHER_SECONDS)
        self._in_hand, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
        self._taken += len(self._in_hand)
        self._is_full = False
        return len(self._in_hand)

    async def _until_told(self) -> None:
        self._told.clear()
        self._is_idle = True
        await self._told.wait()

    async def _send_new(self) -> None:
        lines, acks = await self._records.send_facts(self._in_hand)
        if len(acks) == len(lines) and await _acked(acks, _SEND_SECONDS) == len(acks):
            return
        logger.warning("events_spooled")
        self._late = acks[: await self._spool_lines(lines)]

    async def _spool_in_hand(self) -> int:
        return await self._spool_lines([line for _, _, line in self._in_hand])

    async def _spool_lines(self, lines: Sequence[bytes]) -> int:
        self._in_hand = ()
        return await asyncio.to_thread(self._spool.append, lines) if lines else 0

    async def _send_spooled(self) -> None:
        if not self._late:
            self._late = await self._records.send_lines(
                await asyncio.to_thread(self._spool.head, _MOST_RESENT_AT_ONCE)
            )
        if not self._late:
            await asyncio.sleep(_RETRY_SECONDS)
            return
        acked = await _acked(self._late, _RETRY_SECONDS)
        if acked < len(self._late) and not all(ack.done() for ack in self._late):
            return
        self._late = []
        await asyncio.to_thread(self._spool.drop_head, acked)
        EVENTS_RESENT.inc(acked)
        if self._spool.is_empty:
            logger.info("events_resent")


async def _acked(acks: Sequence[Ack], seconds: float) -> int:
    """How many, from the first on, are acked by then."""
    await asyncio.wait(acks, timeout=seconds)
    count = 0
    for ack, same in groupby(acks):
        if not ack.done() or ack.cancelled() or ack.exception() is not None:
            break
        count += sum(1 for _ in same)
    return count
