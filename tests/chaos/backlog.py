"""What the worker group has not committed."""

import asyncio
import time

from aiokafka import AIOKafkaConsumer, TopicPartition

_POLL_SECONDS = 0.5


async def uncommitted_records(
    bootstrap_servers: str, topic: str, group: str, partitions: int, patience_seconds: float
) -> int:
    """Records of `topic` above the group's committed offsets, once there are none or patience ends."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, group_id=group, enable_auto_commit=False)
    all_partitions = [TopicPartition(topic, number) for number in range(partitions)]
    await consumer.start()
    try:
        give_up_at = time.monotonic() + patience_seconds
        while True:
            left = await _above_committed(consumer, all_partitions)
            if not left or time.monotonic() > give_up_at:
                return left
            await asyncio.sleep(_POLL_SECONDS)
    finally:
        await consumer.stop()


async def _above_committed(consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> int:
    """Asks for offsets and never joins the group, which would start a rebalance."""
    ends = await consumer.end_offsets(partitions)
    committed = [await consumer.committed(partition) or 0 for partition in partitions]
    return sum(ends[partition] - offset for partition, offset in zip(partitions, committed, strict=True))
