"""The bytes of a provider's answer, never more of them than allowed."""

import asyncio
from contextlib import suppress
from typing import Any

import aiohttp
from pydantic_core import to_json

from shared.domain.errors import ErrorCode
from worker.llm.streamed_answer import StreamedAnswer
from worker.ports import OutcomeUnknown

_SHORT_BYTES = 65_536
_LONG_AT_ONCE = 8
_STREAM_FACTOR = 64
"""A stream repeats its envelope for every token; what it comes to is bounded as any answer."""


class AnswerReader:
    """Reads answers; long ones a few at a time, so that a thousand endless ones cannot fill the memory.

    The others wait with their connection paused, which holds back whoever sends.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._long_answers = asyncio.Semaphore(_LONG_AT_ONCE)

    async def read(self, response: aiohttp.ClientResponse) -> bytearray:
        """The whole body, or `OutcomeUnknown` as soon as it is known to be too long."""
        body = bytearray()
        if await _fill(body, response, min(_SHORT_BYTES, self._max_bytes)):
            return body
        if (response.content_length or 0) <= self._max_bytes:
            async with self._long_answers:
                if await _fill(body, response, self._max_bytes):
                    return body
        body.clear()  # the error is kept until the job ends, and its traceback keeps this frame
        raise OutcomeUnknown(
            ErrorCode.UPSTREAM_INVALID_RESPONSE,
            f"The provider's answer is longer than WORKER_MAX_ANSWER_BYTES={self._max_bytes}",
        )

    async def read_stream(self, response: aiohttp.ClientResponse, answer: StreamedAnswer) -> None:
        """The chunks, until the last one; `OutcomeUnknown` when there is more of them than allowed."""
        most_bytes = self._max_bytes * _STREAM_FACTOR
        async for data in response.content.iter_any():
            most_bytes -= len(data)
            if most_bytes < 0:
                raise self._too_long()
            answer.feed(data)
            if answer.size_bytes > self._max_bytes:
                raise self._too_long()
            if answer.is_done:
                return

    def bounded(self, answer: dict[str, Any]) -> dict[str, Any]:
        """The same, if it is as short as one that came whole has to be."""
        if len(to_json(answer)) > self._max_bytes:
            raise self._too_long()
        return answer

    def _too_long(self) -> OutcomeUnknown:
        return OutcomeUnknown(
            ErrorCode.UPSTREAM_INVALID_RESPONSE,
            f"The provider's answer is longer than WORKER_MAX_ANSWER_BYTES={self._max_bytes}",
        )


async def read_refusal(response: aiohttp.ClientResponse) -> bytearray:
    """As much of an error's body as there is: its status has said what counts."""
    body = bytearray()
    with suppress(aiohttp.ClientError, TimeoutError):
        await _fill(body, response, _SHORT_BYTES)
    return body


async def _fill(body: bytearray, response: aiohttp.ClientResponse, most_bytes: int) -> bool:
    """Read until the end (True), or until there are more bytes than that."""
    while len(body) <= most_bytes:
        chunk = await response.content.read(most_bytes + 1 - len(body))
        if not chunk:
            return True
        body += chunk
    return False
