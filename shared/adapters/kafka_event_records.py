"""Facts as records: all facts of a job on one partition, in their order."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from zlib import crc32

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from loguru import logger

from shared.domain.events import JobFailed
from shared.fault_text import describe

_SEND_SECONDS = 10.0
_ERROR = JobFailed.__dataclass_fields__["event"].default

Ack = asyncio.Future[object]
Fact = tuple[str | None, bool, bytes]
"""Its request id, whether it is an error, and its line: a tuple, because two are made a job."""


_Place = tuple[str, int]
"""Topic and partition."""
_Record = tuple[bytes | None, bytes]
"""Key and value."""


class EventRecords:
    """What the producer takes; what it refuses is left to the caller."""

    def __init__(self, producer: AIOKafkaProducer, metrics_topic: str, error_topic: str) -> None:
        self._producer = producer
        self._metrics_topic = metrics_topic
        self._error_topic = error_topic

    async def send_facts(self, facts: Sequence[Fact]) -> tuple[Sequence[bytes], list[Ack]]:
        """The facts as lines, in an order that keeps a job's, and the acks of those taken, from the first on.

        A batch a partition: a tenth of the CPU of as many single records.
        """
        acks: list[Ack] = []
        lines: list[bytes] = []
        async with _patiently():
            # Those of one partition together, so that what is taken is a beginning of the lines.
            places = self._by_place(facts, await self._partitions())
            lines = [record[1] for records in places.values() for record in records]
            for place, records in places.items():
                await self._send_batches(place, records, acks)
        return lines or [line for _, _, line in facts], acks

    async def send_lines(self, lines: Sequence[bytes]) -> list[Ack]:
        """The acks of those that were taken, from the first on."""
        acks: list[Ack] = []
        async with _patiently():
            partitions = await self._partitions()
            for line in lines:
                acks.append(await self._send(*self._again(line, partitions)))
        return acks

    async def _send_batches(self, place: _Place, records: list[_Record], acks: list[Ack]) -> None:
        topic, partition = place
        while records:
            batch = self._producer.create_batch()
            count = _fill(batch, records)
            if count:
                ack: Ack = await self._producer.send_batch(batch, topic, partition=partition)
            else:
                ack, count = await self._send(place, records[0]), 1  # larger than a batch
            acks += [ack] * count
            del records[:count]

    async def _send(self, place: _Place, record: _Record) -> Ack:
        (topic, partition), (key, value) = place, record
        ack: Ack = await self._producer.send(topic, value, key=key, partition=partition)
        return ack

    async def _partitions(self) -> Mapping[str, int]:
        topics = (self._metrics_topic, self._error_topic)
        return {topic: len(await self._producer.partitions_for(topic)) for topic in topics}

    def _by_place(self, facts: Sequence[Fact], partitions: Mapping[str, int]) -> dict[_Place, list[_Record]]:
        places: defaultdict[_Place, list[_Record]] = defaultdict(list)
        for request_id, is_error, line in facts:
            topic = self._error_topic if is_error else self._metrics_topic
            key = _key(request_id)
            places[topic, fact_partition(key, partitions[topic])].append((key, line))
        return places

    def _again(self, line: bytes, partitions: Mapping[str, int]) -> tuple[_Place, _Record]:
        fact = orjson.loads(line)
        topic = self._error_topic if fact["event"] == _ERROR else self._metrics_topic
        key = _key(fact["request_id"])
        return (topic, fact_partition(key, partitions[topic])), (key, line)


def _key(request_id: str | None) -> bytes | None:
    return request_id.encode() if request_id else None


def _fill(batch: Any, records: Sequence[_Record]) -> int:
    """How many of them fit."""
    for count, (key, value) in enumerate(records):
        if batch.append(key=key, value=value, timestamp=None) is None:
            return count
    return len(records)


@asynccontextmanager
async def _patiently() -> AsyncIterator[None]:
    """What the producer does not take in time, or refuses, is not taken."""
    try:
        async with asyncio.timeout(_SEND_SECONDS):
            yield
    except (KafkaError, TimeoutError) as fault:
        logger.bind(fault=describe(fault)).debug("events_not_taken")


def fact_partition(key: bytes | None, count: int) -> int:
    """Where the facts about one job are: Kafka's own hash costs ten times as much in Python."""
    return crc32(key or b"") % count
