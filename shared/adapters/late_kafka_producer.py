"""A producer for what can wait elsewhere until Kafka is there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError
from loguru import logger

from shared.adapters.kafka_producer import RenewedProducer, idempotent_producer, stopped
from shared.adapters.kafka_refusal import refusals_explained
from shared.background import in_background
from shared.kafka_security import PLAINTEXT, KafkaSecurity

_RETRY_SECONDS = 2.0


class _LateProducer(RenewedProducer):
    """Knows of no partition before a broker was reached: whoever asks for them first is told at once."""

    _is_started = False

    async def start(self) -> None:
        await super().start()
        self._is_started = True

    async def partitions_for(self, topic: str) -> Any:
        if not self._is_started:
            raise KafkaConnectionError("no broker was reached yet")
        return await super().partitions_for(topic)


@asynccontextmanager
async def connect_late_kafka_producer(
    bootstrap_servers: str, client_id: str, security: KafkaSecurity = PLAINTEXT
) -> AsyncIterator[AIOKafkaProducer]:
    """Connected now or later; a broker that refuses us ends the start."""
    producer = idempotent_producer(_LateProducer, bootstrap_servers, client_id, security)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(stopped(producer))
        try:
            async with refusals_explained(bootstrap_servers, security):
                await producer.start()
        except KafkaConnectionError as fault:
            logger.bind(brokers=bootstrap_servers, fault=str(fault)).warning("kafka_not_ready")
            await stack.enter_async_context(in_background(_start_later(producer)))
        yield producer


async def _start_later(producer: AIOKafkaProducer) -> None:
    while True:
        await asyncio.sleep(_RETRY_SECONDS)
        try:
            await producer.start()
        except (KafkaError, TimeoutError, OSError) as fault:
            logger.bind(fault=str(fault)).debug("kafka_not_ready")
        else:
            logger.info("kafka_ready")
            return
