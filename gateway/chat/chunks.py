"""A followed answer as OpenAI's API streams it."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import orjson

from gateway.chat.answers import completion_body
from gateway.chat.errors import openai_error_body
from gateway.event_stream import event
from gateway.following import Ended, News, Told, as_events
from gateway.sent_answer import Diverged, SentAnswer
from gateway.service import Answered
from shared.domain.errors import ErrorCode, JobError, job_error
from shared.domain.result import Succeeded
from shared.ports import Piece

_DONE = b"data: [DONE]\n\n"
_NOT_PASSED_ON = ("usage", "object", "choices")


class CompletionChunks:
    """The chunks of one caller."""

    def __init__(self, request_id: str, trace_id: str, after: int, *, includes_usage: bool) -> None:
        self._request_id = request_id
        self._trace_id = trace_id
        self._after = after
        self._includes_usage = includes_usage
        self._sent = SentAnswer()
        self._position = 0

    async def events(self, followed: AsyncGenerator[Told]) -> AsyncGenerator[bytes]:
        """All of it. An error ends the stream, and is its last event."""
        try:
            async with aclosing(as_events(followed, self._written)) as events:
                async for event_bytes in events:
                    yield event_bytes
        except Diverged:
            yield self._error(_diverged(self._request_id))

    def _written(self, told: News) -> bytes:
        match told:
            case Ended():
                return self._error(still_running(self._request_id))
            case Answered(result):
                return self._ending(result) if isinstance(result, Succeeded) else self._error(result.error)
            case _:
                return b"".join(self._chunk(piece) for piece in told)

    def _chunk(self, piece: Piece) -> bytes:
        self._position = piece.position
        chunk: dict[str, Any] = orjson.loads(piece.json)
        if piece.is_retry:
            if chunk["retrying"]["reset"]:
                self._sent.begin_again()
            return b""
        if not chunk["choices"] and chunk.get("usage"):
            return b""  # told at the end
        new = self._sent.take(chunk)
        if new is None or piece.position <= self._after:
            return b""
        if not self._includes_usage:
            new.pop("usage", None)
        return event(new, position=piece.position)

    def _ending(self, result: Succeeded) -> bytes:
        if self._position < self._after:
            raise Diverged
        completion = completion_body(result)
        envelope = {name: value for name, value in completion.items() if name not in _NOT_PASSED_ON}
        envelope["object"] = "chat.completion.chunk"
        usage = {"usage": None} if self._includes_usage else {}
        events = [event({**envelope, "choices": [rest], **usage}) for rest in self._sent.rest(completion)]
        if self._includes_usage:
            events.append(event({**envelope, "choices": [], "usage": completion.get("usage")}))
        return b"".join([*events, _DONE])

    def _error(self, error: JobError) -> bytes:
        return event(openai_error_body(error, self._trace_id))


def still_running(request_id: str) -> JobError:
    """This replica stops waiting. Asking again is free under the same id, and paid without one."""
    return job_error(
        ErrorCode.STILL_RUNNING,
        "This replica cannot wait any longer; the job goes on: send the same body with Idempotency-Key: "
        f"{request_id}, or GET /result/{request_id}",
    )


def _diverged(request_id: str) -> JobError:
    return job_error(
        ErrorCode.UPSTREAM_INVALID_RESPONSE,
        "The provider's stream broke, and its new attempt answers in other words; the whole answer will be "
        f"at /result/{request_id}",
    )
