"""Who shares a topic's partitions, as the broker tells it."""

import asyncio

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment


def partitions_of_members(bootstrap_servers: str, group: str) -> list[int]:
    """How many partitions each member has."""
    return asyncio.run(_partitions_of_members(bootstrap_servers, group))


async def _partitions_of_members(bootstrap_servers: str, group: str) -> list[int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        [described] = await admin.describe_consumer_groups([group])
        [(_, _, _, _, _, members, *_)] = described.groups
        return [_count(assignment) for *_, assignment in (member[:5] for member in members)]
    finally:
        await admin.close()


def _count(assignment: bytes) -> int:
    if not assignment:
        return 0
    topics = ConsumerProtocolMemberAssignment.decode(assignment).assignment
    return sum(len(partitions) for _, partitions in topics)
