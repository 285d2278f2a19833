"""The worker's side: a record is kept as it came, with the reason."""

import asyncio

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from shared.domain.errors import JobError
from shared.send_faults import send_fault
from worker.dead_letters.clear_keys import holds_key, mask
from worker.dead_letters.headers import HELD_KEY, LEFT_OUT, original_headers, reason_headers
from worker.ports import Record

_SEND_SECONDS = 10.0


class DeadLettersUnavailable(Exception):
    """The dead letter was not acknowledged: its record must keep its place."""


class KafkaDeadLetters:
    """The original bytes, key and headers on the dead letter topic, plus the reason; but no clear key."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    async def bury(self, record: Record, error: JobError) -> None:
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                await self._send(record, error)
        except (KafkaError, TimeoutError) as fault:
            raise DeadLettersUnavailable(send_fault(fault, self._topic)) from fault

    async def _send(self, record: Record, error: JobError) -> None:
        reason = reason_headers(record, error)
        headers = [*original_headers(record.headers), *reason]
        left_out = (LEFT_OUT, str(len(record.value or b"")).encode())
        key = None if record.key is None else mask(record.key)
        # The client sends no record without key and value, and one refused here would hold its partition.
        value = b"" if record.value is None and record.key is None else record.value
        if holds_key(value):
            # The original stays where it came until retention takes it; nobody needs a second one.
            value, headers = b"", [*headers, left_out, (HELD_KEY, b"1")]
        try:
            await self._producer.send_and_wait(self._topic, value, key=key, headers=headers)
        except MessageSizeTooLargeError:
            # Full to the limit already. The original stays where it came; the letter says where that is.
            await self._producer.send_and_wait(self._topic, b"", headers=[*reason, left_out])
