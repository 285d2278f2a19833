"""The producer that both services send with."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer

from shared.adapters.kafka_topics import MAX_RECORD_BYTES

_STOP_SECONDS = 5.0


@asynccontextmanager
async def connect_kafka_producer(bootstrap_servers: str, client_id: str) -> AsyncIterator[AIOKafkaProducer]:
    """An idempotent producer that counts a record as sent when every replica in sync has it."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers,
        client_id=client_id,
        acks="all",
        enable_idempotence=True,
        linger_ms=0,  # 5 made a lone send take 6 ms instead of 0.3
        max_request_size=MAX_RECORD_BYTES,
        # Below the time that a caller waits for the acknowledgement: a refused job has left the buffer too.
        request_timeout_ms=8_000,
    )
    await producer.start()
    try:
        yield producer
    finally:
        # Without a broker, stopping would wait for records that cannot leave.
        await asyncio.wait([asyncio.ensure_future(producer.stop())], timeout=_STOP_SECONDS)
