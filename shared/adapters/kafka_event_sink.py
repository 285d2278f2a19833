"""Facts as records on `llm-metrics` and `llm-errors`, in the background."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from shared.adapters.file_event_sink import FileEventSink, encode_event
from shared.background import end
from shared.domain.events import Event, JobFailed

_MOST_WAITING = 10_000
_SEND_SECONDS = 10.0
_FLUSH_SECONDS = 5.0


@asynccontextmanager
async def connect_kafka_event_sink(
    producer: AIOKafkaProducer, *, metrics_topic: str, error_topic: str, fallback: FileEventSink
) -> AsyncIterator["KafkaEventSink"]:
    """A sink whose sender runs; what is waiting at the end is sent, or written to the file."""
    sink = KafkaEventSink(producer, metrics_topic, error_topic, fallback)
    task = asyncio.create_task(sink.send_forever())
    try:
        yield sink
    finally:
        await sink.flush()
        await end(task)


class KafkaEventSink:
    """`EventSink` over Kafka; what cannot be sent, or not held in memory, goes to a file."""

    def __init__(
        self, producer: AIOKafkaProducer, metrics_topic: str, error_topic: str, fallback: FileEventSink
    ) -> None:
        self._producer = producer
        self._metrics_topic = metrics_topic
        self._error_topic = error_topic
        self._fallback = fallback
        self._waiting: asyncio.Queue[Event] = asyncio.Queue(_MOST_WAITING)

    def emit(self, event: Event) -> None:
        try:
            self._waiting.put_nowait(event)
        except asyncio.QueueFull:
            self._fallback.emit(event)

    async def send_forever(self) -> None:
        while True:
            events = [await self._waiting.get()]
            while not self._waiting.empty():
                events.append(self._waiting.get_nowait())
            await self._send(events)
            for _ in events:
                self._waiting.task_done()

    async def flush(self) -> None:
        """Send what waits; what cannot be sent in time goes to the file."""
        try:
            async with asyncio.timeout(_FLUSH_SECONDS):
                await self._waiting.join()
        except TimeoutError:
            while not self._waiting.empty():
                self._fallback.emit(self._waiting.get_nowait())

    async def _send(self, events: list[Event]) -> None:
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                acks = [await self._enqueue(event) for event in events]
                await asyncio.gather(*acks)
        except (KafkaError, TimeoutError):
            # Some may have arrived: a fact told twice is better than one lost.
            for event in events:
                self._fallback.emit(event)

    async def _enqueue(self, event: Event) -> "asyncio.Future[object]":
        topic = self._error_topic if isinstance(event, JobFailed) else self._metrics_topic
        key = event.request_id.encode() if event.request_id else None
        ack: asyncio.Future[object] = await self._producer.send(topic, encode_event(event), key=key)
        return ack
