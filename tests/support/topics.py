"""Reading and writing topics with a client that is not the product's."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer


async def produce(
    bootstrap_servers: str,
    topic: str,
    value: bytes | None,
    *,
    key: bytes | None = None,
    headers: Sequence[tuple[str, bytes]] = (),
) -> Any:
    """One record, acknowledged; returns where it went."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all")
    await producer.start()
    try:
        return await producer.send_and_wait(topic, value, key=key, headers=list(headers))
    finally:
        await producer.stop()


async def read_until(
    bootstrap_servers: str, topic: str, is_wanted: Callable[[Any], bool], *, timeout_seconds: float = 30
) -> Any:
    """The first record of the topic that is wanted; TimeoutError if none comes."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(timeout_seconds):
            async for record in consumer:
                if is_wanted(record):
                    return record
    finally:
        await consumer.stop()
