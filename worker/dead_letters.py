"""Records that can never become a result: kept as they came, with the reason, for people to see."""

import asyncio

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from shared.domain.errors import JobError
from worker.ports import Record

_SEND_SECONDS = 10.0


class DeadLettersUnavailable(Exception):
    """The dead letter was not acknowledged: its record must keep its place."""


class KafkaDeadLetters:
    """The original bytes and headers on the dead letter topic, plus the reason."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    async def bury(self, record: Record, error: JobError) -> None:
        reason = [
            ("dlq_reason", error.error_code.encode()),
            ("dlq_message", error.message.encode()),
            ("dlq_topic", record.topic.encode()),
            ("dlq_partition", str(record.partition).encode()),
            ("dlq_offset", str(record.offset).encode()),
        ]
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                await self._producer.send_and_wait(
                    self._topic, record.value, key=record.key, headers=[*record.headers, *reason]
                )
        except (KafkaError, TimeoutError) as fault:
            raise DeadLettersUnavailable(type(fault).__name__) from fault
