"""Looking through topics for one id: no group, no commits, up to the end that they had at the start."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.partitioner import DefaultPartitioner

from shared.adapters.kafka_event_records import fact_partition
from shared.kafka_security import PLAINTEXT, KafkaSecurity
from worker.dead_letters.topic import partitions_of_topics
from worker.find.entry import request_id_in
from worker.ports import Record

_SILENCE_SECONDS = 30.0
_RECORDS_AT_ONCE = 5_000
_FETCH_BYTES = 8_388_608

Ranges = Mapping[TopicPartition, range]
IsWanted = Callable[[Record], bool]
Read = Callable[[int], None]
"""Told how many offsets are behind us."""


@dataclass(frozen=True, slots=True)
class Window:
    """When what is looked for was written."""

    since: datetime
    until: datetime | None = None
    """None: to the end."""


@asynccontextmanager
async def open_topics(bootstrap_servers: str, security: KafkaSecurity = PLAINTEXT) -> AsyncIterator["Topics"]:
    """All topics as they are now."""
    partitions = await partitions_of_topics(bootstrap_servers, security)
    consumer = AIOKafkaConsumer(
        **security.client_options(),
        bootstrap_servers=bootstrap_servers,
        enable_auto_commit=False,
        auto_offset_reset="earliest",  # retention may take the first records while they are read
        max_partition_fetch_bytes=_FETCH_BYTES,
    )
    try:
        await consumer.start()
        await asyncio.sleep(0)  # stopped before its tasks ran once, the consumer raises CancelledError
        yield Topics(consumer, partitions)
    finally:
        await consumer.stop()


class Topics:
    """The topics of a deployment."""

    def __init__(self, consumer: AIOKafkaConsumer, partitions: Mapping[str, int]) -> None:
        self._consumer = consumer
        self._partitions = partitions

    def partitions(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for number in range(self._partitions.get(topic, 0))]

    def partition_of(self, topic: str, key: bytes) -> list[TopicPartition]:
        """Where our own producers put this key; none if the topic is missing."""
        numbers = list(range(self._partitions.get(topic, 0)))
        return [TopicPartition(topic, DefaultPartitioner()(key, numbers, numbers))] if numbers else []

    def fact_partition_of(self, topic: str, key: bytes) -> list[TopicPartition]:
        """The same of facts, which are placed in another way."""
        count = self._partitions.get(topic, 0)
        return [TopicPartition(topic, fact_partition(key, count))] if count else []

    async def ranges(self, partitions: Iterable[TopicPartition], window: Window) -> Ranges:
        """The offsets of what was written in the window."""
        partitions = list(partitions)
        if not partitions:
            return {}
        ends = await self._consumer.end_offsets(partitions)
        firsts = await self._offsets(partitions, window.since, ends)
        stops = ends if window.until is None else await self._offsets(partitions, window.until, ends)
        return {partition: range(firsts[partition], stops[partition]) for partition in partitions}

    async def find(self, is_wanted: IsWanted, ranges: Ranges, read: Read) -> list[Record]:
        """The records there that are wanted."""
        left = {partition: offsets for partition, offsets in ranges.items() if offsets}
        found: list[Record] = []
        self._consumer.assign(list(left))
        for partition, offsets in left.items():
            self._consumer.seek(partition, offsets.start)
        while left:
            async with asyncio.timeout(_SILENCE_SECONDS):
                found += await self._some(is_wanted, left, read)
        return found

    async def _some(self, is_wanted: IsWanted, left: dict[TopicPartition, range], read: Read) -> list[Record]:
        """Of what comes next; partitions that are read to their stop are left out from then on."""
        found: list[Record] = []
        while not found and left:
            fetched = await self._consumer.getmany(*left, timeout_ms=500, max_records=_RECORDS_AT_ONCE)
            for partition, records in fetched.items():
                stop = left[partition].stop
                found += [record for record in records if record.offset < stop and is_wanted(record)]
            if await self._advance(left, read):
                break
        return found

    async def _advance(self, left: dict[TopicPartition, range], read: Read) -> bool:
        has_moved = False
        for partition, offsets in list(left.items()):
            position = min(await self._consumer.position(partition), offsets.stop)
            read(position - offsets.start)
            has_moved |= position > offsets.start
            left[partition] = range(position, offsets.stop)
            if not left[partition]:
                del left[partition]
                self._consumer.pause(partition)
        return has_moved

    async def _offsets(
        self, partitions: list[TopicPartition], instant: datetime, ends: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        at_ms = max(0, int(instant.timestamp() * 1000))
        found = await self._consumer.offsets_for_times(dict.fromkeys(partitions, at_ms))
        return {
            partition: min(found[partition].offset, ends[partition])
            if found.get(partition) is not None
            else ends[partition]
            for partition in partitions
        }


def is_about(request_id: str) -> IsWanted:
    """By its key, or by its value: direct producers need no key."""
    key = request_id.encode()

    def is_wanted(record: Record) -> bool:
        return record.key == key or (
            key in (record.value or b"") and request_id_in(record.value) == request_id
        )

    return is_wanted


def is_traced(trace_id: str) -> IsWanted:
    """By its trace context."""
    needle = f"-{trace_id}-".encode()
    return lambda record: any(
        name == "traceparent" and needle in (text or b"") for name, text in record.headers
    )
