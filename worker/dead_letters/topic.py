"""Reading the dead letter topic: no group, no commits, up to its end at the start."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from shared.adapters.kafka_refusal import refusals_explained
from shared.adapters.kafka_rights import expect_rights
from shared.kafka_security import PLAINTEXT, KafkaSecurity
from worker.dead_letters.headers import REDRIVEN, REQUEST_ID, TIME
from worker.dead_letters.letter import DeadLetter, Redriven
from worker.dead_letters.selection import Selection

_SILENCE_SECONDS = 30.0
_RECORDS_AT_ONCE = 200


@asynccontextmanager
async def open_topic(
    bootstrap_servers: str, topic: str, security: KafkaSecurity = PLAINTEXT
) -> AsyncIterator["DeadLetterTopic"]:
    """The topic as it is now."""
    partitions = await partitions_of_topics(bootstrap_servers, security)
    await expect_rights(bootstrap_servers, security, {topic: ("READ",)})
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        enable_auto_commit=False,
        auto_offset_reset="earliest",  # retention may take the first letters while they are read
        **security.client_options(),
    )
    try:
        await consumer.start()
        await asyncio.sleep(0)  # stopped before its tasks ran once, the consumer raises CancelledError
        yield DeadLetterTopic(consumer, topic, partitions)
    finally:
        await consumer.stop()


class DeadLetterTopic:
    """Letters partition by partition; in memory are one fetch and the marks of one partition."""

    def __init__(self, consumer: AIOKafkaConsumer, topic: str, partitions: Mapping[str, int]) -> None:
        self._consumer = consumer
        self._partitions = [TopicPartition(topic, number) for number in range(partitions.get(topic, 0))]
        self.others = partitions.keys() - {topic}
        """The other topics of the broker."""

    async def letters(self, selection: Selection) -> AsyncIterator[DeadLetter]:
        """The selected ones, in the order of partition and offset."""
        for partition in self._partitions:
            first, end = await self._bounds(partition)
            wanted = selection.offsets(partition.partition, first, end)
            if not wanted:
                continue
            marks = await self._marks(partition, wanted.start, end)
            async for record in self._records(partition, wanted):
                letter = DeadLetter(record, marks.get(record.offset))
                if _marked_offset(record) is None and selection.has(letter):
                    yield letter

    async def _bounds(self, partition: TopicPartition) -> tuple[int, int]:
        firsts = await self._consumer.beginning_offsets([partition])
        ends = await self._consumer.end_offsets([partition])
        return firsts[partition], ends[partition]

    async def _marks(self, partition: TopicPartition, first: int, end: int) -> dict[int, Redriven]:
        """What became of redriven letters, by offset. Marks stand behind letters, so they are read first."""
        marks = {}
        async for record in self._records(partition, range(first, end)):
            marked = _marked_offset(record)
            if marked is not None:
                mark = DeadLetter(record)
                marks[marked] = Redriven(mark.told(TIME) or "?", mark.told(REQUEST_ID))
        return marks

    async def _records(self, partition: TopicPartition, offsets: range) -> AsyncIterator[Any]:
        self._consumer.assign([partition])
        self._consumer.seek(partition, offsets.start)
        while await self._consumer.position(partition) < offsets.stop:
            async with asyncio.timeout(_SILENCE_SECONDS):
                fetched = await self._some(partition)
            for record in fetched:
                if record.offset >= offsets.stop:
                    return
                yield record

    async def _some(self, partition: TopicPartition) -> list[Any]:
        """What comes next; nothing when only the position moved, over what was cleaned away."""
        before = await self._consumer.position(partition)
        while True:
            fetched = await self._consumer.getmany(partition, timeout_ms=500, max_records=_RECORDS_AT_ONCE)
            if fetched or await self._consumer.position(partition) > before:
                return list(fetched.get(partition, []))


async def partitions_of_topics(bootstrap_servers: str, security: KafkaSecurity = PLAINTEXT) -> dict[str, int]:
    """Of all topics: asking for one that is missing might make it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, **security.client_options())
    try:
        async with refusals_explained(bootstrap_servers, security):
            await admin.start()
        return {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}
    finally:
        await admin.close()


def _marked_offset(record: Any) -> int | None:
    marked = dict(record.headers).get(REDRIVEN)
    return int(marked) if marked is not None and marked.isdigit() else None
