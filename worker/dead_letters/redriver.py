"""Sends letters back and marks them."""

import asyncio
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from shared.domain.timestamps import rfc3339_now
from shared.send_faults import send_fault
from worker.dead_letters.headers import OFFSET, PARTITION, REDRIVEN, REQUEST_ID, TIME, TOPIC, encode
from worker.dead_letters.letter import DeadLetter, printable_text
from worker.dead_letters.redrive import Outgoing, Rules

_SEND_SECONDS = 10.0


class RedriveFailed(Exception):
    """A letter was not sent, or not marked."""

    @property
    def is_broker_away(self) -> bool:
        """The next letter would fail like this one."""
        return isinstance(self.__cause__, KafkaError | TimeoutError) and not isinstance(
            self.__cause__, MessageSizeTooLargeError
        )


class Redriver:
    """One letter at a time: first the record, then its mark.

    If the mark gets lost, the next redrive sends the record again, under the same id.
    """

    def __init__(self, producer: AIOKafkaProducer, dead_letter_topic: str, rules: Rules) -> None:
        self._producer = producer
        self._dead_letter_topic = dead_letter_topic
        self._rules = rules

    async def redrive(self, letter: DeadLetter) -> str:
        """What became of it, in a line."""
        why = self._rules.left_out(letter)
        if why is not None:
            raise RedriveFailed(f"{letter.position} left out: {why}")
        outgoing = self._rules.outgoing(letter)
        try:
            sent = await self._send(
                outgoing.topic, outgoing.value, key=outgoing.key, headers=outgoing.headers
            )
        except (KafkaError, TimeoutError) as fault:
            raise RedriveFailed(f"{letter.position} not sent: {send_fault(fault, outgoing.topic)}") from fault
        try:
            await self._mark(letter, outgoing, sent)
        except (KafkaError, TimeoutError) as fault:
            raise RedriveFailed(
                f"{letter.position} sent, not marked: {send_fault(fault, self._dead_letter_topic)}"
            ) from fault
        return f"{described(letter, outgoing)} {sent.partition}/{sent.offset}"

    async def _mark(self, letter: DeadLetter, outgoing: Outgoing, sent: Any) -> None:
        """On the letter's own partition and behind it: retention takes the letter first."""
        told = {
            REDRIVEN: str(letter.position.offset),
            TIME: rfc3339_now(),
            TOPIC: outgoing.topic,
            PARTITION: str(sent.partition),
            OFFSET: str(sent.offset),
        }
        if outgoing.new_id:
            told[REQUEST_ID] = outgoing.new_id
        key, partition = str(letter.position).encode(), letter.position.partition
        await self._send(self._dead_letter_topic, b"", key=key, headers=encode(told), partition=partition)

    async def _send(self, topic: str, value: bytes | None, **more: Any) -> Any:
        async with asyncio.timeout(_SEND_SECONDS):
            return await self._producer.send_and_wait(topic, value, **more)


def described(letter: DeadLetter, outgoing: Outgoing) -> str:
    """Where a letter goes, and under which id if that changes."""
    ids = f"  {outgoing.old_id} -> {outgoing.new_id}" if outgoing.new_id else ""
    return f"{letter.position} {letter.reason}{ids} -> {printable_text(outgoing.topic)}"
