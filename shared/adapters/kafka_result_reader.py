"""Results as `llm-results` tells them, from an instant on: for when the store does not have them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from loguru import logger

from shared.domain.result import Failed, Succeeded
from shared.fault_text import describe
from shared.kafka_security import PLAINTEXT, KafkaSecurity
from shared.ports import ResultLogUnavailable, Run
from shared.wire import result_from_record

_POLL_MS = 200
_MOST_AT_ONCE = 500
_PATIENCE_SECONDS = 30.0
_STOP_SECONDS = 5.0

Told = list[tuple[Run, Succeeded | Failed]]


class KafkaResultReader:
    """Reads without a group: every process that asks gets everything."""

    def __init__(
        self, bootstrap_servers: str, topic: str, client_id: str, security: KafkaSecurity = PLAINTEXT
    ) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._topic = topic
        self._client_id = client_id
        self._security = security

    async def follow(self, since: float) -> AsyncIterator[Told]:
        """Everything from `since` (Unix seconds) on, and then what comes, for ever."""
        async with self._open(since) as consumer:
            while True:
                yield await _next(consumer)

    async def read(self, since: float) -> AsyncIterator[Told]:
        """Everything from `since` (Unix seconds) to what is the end now; raises `ResultLogUnavailable`."""
        async with self._open(since) as consumer:
            ends = await consumer.end_offsets(list(consumer.assignment()))
            moved_at = time.monotonic()
            while await _is_before(consumer, ends):
                told = await _next(consumer)
                if told:
                    moved_at = time.monotonic()
                    yield told
                elif time.monotonic() - moved_at > _PATIENCE_SECONDS:
                    raise ResultLogUnavailable(f"no record of {self._topic} for {_PATIENCE_SECONDS:g} s")

    @asynccontextmanager
    async def _open(self, since: float) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            self._topic,
            bootstrap_servers=self._bootstrap_servers,
            client_id=self._client_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            **self._security.client_options(),
        )
        try:
            await consumer.start()
            await _seek(consumer, since)
            yield consumer
        except KafkaError as fault:
            raise ResultLogUnavailable(describe(fault)) from fault
        finally:
            # Without a broker, stopping can hang.
            await asyncio.wait([asyncio.ensure_future(consumer.stop())], timeout=_STOP_SECONDS)


async def _seek(consumer: AIOKafkaConsumer, since: float) -> None:
    partitions = list(consumer.assignment())
    since_ms = max(0, int(since * 1000))
    # The ends first: a record that comes in between is behind the one or found by the other.
    ends = await consumer.end_offsets(partitions)
    found = await consumer.offsets_for_times(dict.fromkeys(partitions, since_ms))
    for partition in partitions:
        offset = found.get(partition)
        consumer.seek(partition, offset.offset if offset is not None else ends[partition])


async def _is_before(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> bool:
    for partition, end in ends.items():
        if await consumer.position(partition) < end:
            return True
    return False


async def _next(consumer: AIOKafkaConsumer) -> Told:
    records = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_MOST_AT_ONCE)
    return [told for batch in records.values() for record in batch if (told := _told(record)) is not None]


def _told(record: object) -> tuple[Run, Succeeded | Failed] | None:
    try:
        return result_from_record(record.value, record.headers)  # type: ignore[attr-defined] # aiokafka's
    except ValueError as fault:
        logger.bind(fault=str(fault)).warning("result_record_unreadable")
        return None
