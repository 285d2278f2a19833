"""The topics of a fuzzed worker: records in, dead letters and facts out, offsets."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from shared.adapters.kafka_topics import MAX_RECORD_BYTES
from tests.fuzz.records import Sent

Origin = tuple[int, int]
"""Partition and offset."""

_POLL_SECONDS = 0.05


class Topics:
    """A producer that refuses nothing, a reader of everything that comes out, and the group's offsets."""

    def __init__(
        self,
        settings: dict[str, str],
        producer: AIOKafkaProducer,
        consumer: AIOKafkaConsumer,
        admin: AIOKafkaAdminClient,
    ) -> None:
        self._topic = settings["KAFKA_REQUEST_TOPIC"]
        self._group = settings["KAFKA_CONSUMER_GROUP"]
        self.dead_letter_topic = settings["KAFKA_DEAD_LETTER_TOPIC"]
        self.error_topic = settings["KAFKA_ERROR_TOPIC"]
        self._producer = producer
        self._consumer = consumer
        self._admin = admin

    async def partitions(self) -> list[int]:
        return sorted(await self._producer.partitions_for(self._topic))

    async def send(self, records: Sequence[Sent], partition: int) -> dict[Origin, Sent]:
        """As batches, because `send` would refuse a record that is null all over."""
        origins: dict[Origin, Sent] = {}
        waiting = list(records)
        while waiting:
            batch = self._producer.create_batch()
            taken = 0
            for record in waiting:
                if not _append(batch, record):
                    break
                taken += 1
            assert taken, f"a record that fits in no batch: {waiting[0]!r:.200}"
            acknowledged = await (await self._producer.send_batch(batch, self._topic, partition=partition))
            for number, record in enumerate(waiting[:taken]):
                origins[partition, acknowledged.offset + number] = record
            waiting = waiting[taken:]
        return origins

    async def wait_until_committed(self, timeout_seconds: float) -> bool:
        """Whether the group finished every record of the topic in time."""
        partitions = [TopicPartition(self._topic, number) for number in await self.partitions()]
        ends = await self._consumer.end_offsets(partitions)
        give_up_at = time.monotonic() + timeout_seconds
        while time.monotonic() < give_up_at:
            committed = await self._admin.list_consumer_group_offsets(self._group)
            if all(p in committed and committed[p].offset >= end for p, end in ends.items() if end):
                return True
            await asyncio.sleep(_POLL_SECONDS)
        return False

    async def read_new(self) -> list[Any]:
        """Dead letters and errors that came since the last call."""
        ends = await self._consumer.end_offsets(self._consumer.assignment())
        found: list[Any] = []
        while any([await self._consumer.position(p) < end for p, end in ends.items()]):
            for records in (await self._consumer.getmany(timeout_ms=200)).values():
                found += records
        return found


def _append(batch: Any, record: Sent) -> bool:
    appended = batch.append(
        timestamp=record.timestamp_ms, key=record.key, value=record.value, headers=list(record.headers)
    )
    return appended is not None


@asynccontextmanager
async def connect_topics(settings: dict[str, str]) -> AsyncIterator[Topics]:
    """To topics that exist."""
    brokers = settings["KAFKA_BOOTSTRAP_SERVERS"]
    producer = AIOKafkaProducer(
        bootstrap_servers=brokers,
        acks="all",
        max_request_size=2 * MAX_RECORD_BYTES,
        max_batch_size=MAX_RECORD_BYTES,
    )
    consumer = AIOKafkaConsumer(
        bootstrap_servers=brokers, auto_offset_reset="earliest", enable_auto_commit=False
    )
    admin = AIOKafkaAdminClient(bootstrap_servers=brokers)
    async with _started(producer), _started(consumer):
        await admin.start()
        try:
            topics = Topics(settings, producer, consumer, admin)
            out = [topics.dead_letter_topic, topics.error_topic]
            consumer.assign(
                [TopicPartition(topic, number) for topic in out for number in await topics.partitions()]
            )
            yield topics
        finally:
            await admin.close()


@asynccontextmanager
async def _started(client: Any) -> AsyncIterator[None]:
    await client.start()
    try:
        yield
    finally:
        await client.stop()
