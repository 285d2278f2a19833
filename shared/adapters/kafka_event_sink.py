"""Facts as records on `llm-metrics` and `llm-errors`, in the background and in their order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from loguru import logger

from shared.adapters.event_spool import EventSpool
from shared.adapters.file_event_sink import encode_event
from shared.background import end
from shared.domain.events import Event, JobFailed
from shared.telemetry.event_metrics import EVENTS_DROPPED, EVENTS_RESENT

_MOST_WAITING = 100_000
_MOST_AT_ONCE = 500
_SEND_SECONDS = 10.0
_RETRY_SECONDS = 1.0
_FLUSH_SECONDS = 5.0
_ERROR = JobFailed.__dataclass_fields__["event"].default

_Ack = asyncio.Future[object]


@asynccontextmanager
async def connect_kafka_event_sink(
    producer: AIOKafkaProducer, *, metrics_topic: str, error_topic: str, spool_folder: Path, max_bytes: int
) -> AsyncIterator["KafkaEventSink"]:
    """A sink whose sender runs; what is waiting at the end is sent, or left in the spool."""
    spool = await asyncio.to_thread(EventSpool, spool_folder, max_bytes)
    sink = KafkaEventSink(producer, metrics_topic, error_topic, spool)
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

    def __init__(
        self, producer: AIOKafkaProducer, metrics_topic: str, error_topic: str, spool: EventSpool
    ) -> None:
        self._producer = producer
        self._metrics_topic = metrics_topic
        self._error_topic = error_topic
        self._spool = spool
        self._waiting: asyncio.Queue[Event] = asyncio.Queue(_MOST_WAITING)
        self._in_hand: Sequence[bytes] = ()
        self._late: list[_Ack] = []
        """Of the first lines in the spool: sent, not acked."""
        self._is_full = False

    def emit(self, event: Event) -> None:
        try:
            self._waiting.put_nowait(event)
        except asyncio.QueueFull:
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
            for _ in range(count):
                self._waiting.task_done()

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
                await self._waiting.join()
        except TimeoutError:
            logger.bind(waiting=self._waiting.qsize()).warning("events_not_sent")

    def leave(self) -> None:
        """What the sender had not sent is left in the spool."""
        rest = [encode_event(self._waiting.get_nowait()) for _ in range(self._waiting.qsize())]
        if lines := [*self._in_hand, *rest]:
            self._spool.append(lines)
        self._spool.close()

    async def _gather(self) -> int:
        """Take what waits in hand; wait for it only if there is nothing else to do."""
        events = [await self._waiting.get()] if self._spool.is_empty else []
        while not self._waiting.empty() and len(events) < _MOST_AT_ONCE:
            events.append(self._waiting.get_nowait())
        self._is_full = False
        self._in_hand = [encode_event(event) for event in events]
        return len(events)

    async def _send_new(self) -> None:
        acks = await self._enqueue(self._in_hand)
        if len(acks) == len(self._in_hand) and await _acked(acks, _SEND_SECONDS) == len(acks):
            return
        logger.warning("events_spooled")
        taken = await self._spool_in_hand()
        self._late = acks[:taken]

    async def _spool_in_hand(self) -> int:
        lines, self._in_hand = self._in_hand, ()
        return await asyncio.to_thread(self._spool.append, lines) if lines else 0

    async def _send_spooled(self) -> None:
        if not self._late:
            self._late = await self._enqueue(await asyncio.to_thread(self._spool.head, _MOST_AT_ONCE))
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

    async def _enqueue(self, lines: Sequence[bytes]) -> list[_Ack]:
        """The acks of those that the producer took, from the first on."""
        acks: list[_Ack] = []
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                for line in lines:
                    acks.append(await self._send(line))
        except (KafkaError, TimeoutError) as fault:
            logger.bind(fault=f"{type(fault).__name__}: {fault}").debug("events_not_taken")
        return acks

    async def _send(self, line: bytes) -> _Ack:
        fact = orjson.loads(line)
        topic = self._error_topic if fact["event"] == _ERROR else self._metrics_topic
        key = fact["request_id"].encode() if fact["request_id"] else None
        ack: _Ack = await self._producer.send(topic, line, key=key)
        return ack


async def _acked(acks: Sequence[_Ack], seconds: float) -> int:
    """How many, from the first on, are acked by then."""
    await asyncio.wait(acks, timeout=seconds)
    count = 0
    for ack in acks:
        if not ack.done() or ack.cancelled() or ack.exception() is not None:
            break
        count += 1
    return count
