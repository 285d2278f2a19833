"""What the Kafka faults do to a cluster, over Kafka's own protocol."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import AlterPartitionReassignmentsRequest

from tests.chaos.deployment import PARTITIONS, Deployment

_LOOK_SECONDS = 0.5
_COPY = ("copy", b"1")
_REPLICAS = 3


class KafkaCluster:
    """The cluster of one deployment, seen by an operator."""

    def __init__(self, deployment: Deployment) -> None:
        self._brokers = deployment.surroundings.kafka.bootstrap_servers
        self._topic = deployment.request_topic
        self._group = deployment.group

    async def coordinator(self) -> int:
        """The node that the workers' group depends on."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._brokers)
        await admin.start()
        try:
            return int(await admin.find_coordinator(self._group))
        finally:
            await admin.close()

    async def leaders(self) -> dict[int, int]:
        """The leading node of each partition of the request topic."""
        return {number: leader for number, leader, _, _ in await self._partitions()}

    async def until_in_sync(self) -> None:
        """Until every partition has all its replicas."""
        while any(len(in_sync) < _REPLICAS for *_, in_sync in await self._partitions()):
            await asyncio.sleep(_LOOK_SECONDS)

    async def prefer_other_leaders(self) -> None:
        """Turn each list of replicas by one: the controller soon moves the lead to the new first."""
        found = await self._partitions()
        turned: list[Any] = [(number, [*nodes[1:], nodes[0]], {}) for number, _, nodes, _ in found]
        async with self._client() as client:
            request = AlterPartitionReassignmentsRequest(10_000, [(self._topic, turned, {})], {})
            answer = await client.send(client.get_random_node(), request)
        assert answer.error_code == 0, for_code(answer.error_code)

    async def reset_offsets(self) -> None:
        """The group's offsets to the earliest; nobody may be in the group."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._brokers, group_id=self._group, enable_auto_commit=False
        )
        everything = [TopicPartition(self._topic, number) for number in range(PARTITIONS)]
        await consumer.start()
        try:
            consumer.assign(everything)
            await consumer.commit(await consumer.beginning_offsets(everything))
        finally:
            await consumer.stop()

    @asynccontextmanager
    async def stranger_in_the_group(self) -> AsyncIterator[None]:
        """A consumer that takes its share of the partitions, reads and commits nothing."""
        stranger = AIOKafkaConsumer(
            self._topic, bootstrap_servers=self._brokers, group_id=self._group, enable_auto_commit=False
        )
        await stranger.start()
        try:
            yield
        finally:
            await stranger.stop()

    async def produce(self, key: bytes, value: bytes, headers: Mapping[str, bytes]) -> None:
        """As a direct producer does."""
        async with self._producer() as producer:
            await producer.send_and_wait(self._topic, value, key=key, headers=list(headers.items()))

    async def copy_each_record(self, count: int) -> None:
        """Produce each record again as it is, until `count` are copied."""
        reader = AIOKafkaConsumer(
            self._topic, bootstrap_servers=self._brokers, auto_offset_reset="earliest", group_id=None
        )
        async with self._producer() as producer:
            await reader.start()
            try:
                while count:
                    record = await reader.getone()
                    if _COPY not in record.headers:
                        headers = [*record.headers, _COPY]
                        await producer.send(self._topic, record.value, key=record.key, headers=headers)
                        count -= 1
            finally:
                await reader.stop()

    @asynccontextmanager
    async def _producer(self) -> AsyncIterator[AIOKafkaProducer]:
        producer = AIOKafkaProducer(bootstrap_servers=self._brokers, acks="all")
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[AIOKafkaClient]:
        client = AIOKafkaClient(bootstrap_servers=self._brokers)
        await client.bootstrap()
        try:
            yield client
        finally:
            await client.close()

    async def _partitions(self) -> list[tuple[int, int, list[int], list[int]]]:
        """Number, leader, replicas and replicas in sync of each partition."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._brokers)
        await admin.start()
        try:
            (topic,) = await admin.describe_topics([self._topic])
        finally:
            await admin.close()
        return [_partition(found) for found in topic["partitions"]]


def _partition(found: Mapping[str, Any]) -> tuple[int, int, list[int], list[int]]:
    return found["partition"], found["leader"], found["replicas"], found["isr"]
