"""The facts on the topics, as a consumer of its own reads them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.chaos.agreement.books import Fact

Key = tuple[object, ...]


@dataclass(frozen=True)
class Facts:
    """By partition, in the order in which they stand there."""

    partitions: Sequence[Sequence[Fact]]

    @property
    def told(self) -> list[Fact]:
        return [fact for partition in self.partitions for fact in partition]

    @property
    def once(self) -> list[Fact]:
        """Without those that were told before."""
        return [*{key_of(fact): fact for fact in reversed(self.told)}.values()]

    @property
    def repeated(self) -> int:
        return len(self.told) - len(self.once)


def key_of(fact: Fact) -> Key:
    """What a fact and its repetition share, as `shared/domain/events.py` promises."""
    attempt = fact.get("attempt", fact.get("attempts"))
    return (fact["event"], fact["owner"], fact["request_id"], attempt, fact["timestamp"])


async def read_facts(bootstrap_servers: str, topic: str, partitions: int) -> Facts:
    """All that stands on the topic now."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        all_partitions = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(all_partitions)
        return await _read_to_the_end(consumer, all_partitions)
    finally:
        await consumer.stop()


async def _read_to_the_end(consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]) -> Facts:
    ends = await consumer.end_offsets(partitions)
    await consumer.seek_to_beginning()
    facts: dict[TopicPartition, list[Fact]] = {partition: [] for partition in partitions}
    while [partition for partition in partitions if await consumer.position(partition) < ends[partition]]:
        for partition, records in (await consumer.getmany(timeout_ms=500)).items():
            facts[partition] += [orjson.loads(record.value) for record in records]
    return Facts([*facts.values()])


def by_prompt(facts: Iterable[Fact], prompts: dict[str, str]) -> dict[str, list[Fact]]:
    """`prompts`: of each request id."""
    found: dict[str, list[Fact]] = {}
    for fact in facts:
        found.setdefault(prompts.get(fact["request_id"], ""), []).append(fact)
    return found


def outcomes(facts: Iterable[Fact]) -> Counter[str]:
    """Of provider calls."""
    return Counter(fact["outcome"] for fact in facts if fact["event"] == "provider_called")
