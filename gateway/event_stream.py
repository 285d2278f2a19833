"""Server-sent events (WHATWG HTML, section 9.2)."""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from shared.domain.errors import ErrorCode, InvalidRequest, job_error
from shared.domain.validation import short_echo

PING = b": ping\n\n"
PING_SECONDS = 15
_POSITION = re.compile(r"\d{1,15}")


class EventStream(Response):
    """An answer that is sent as it comes; whoever reads slowly is waited for."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes], status_code: int = 200) -> None:
        super().__init__(
            status_code=status_code, headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        )
        del self.headers["content-length"]
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._events) as events:
            async for event in events:
                await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def event(data: Any, name: str = "", position: int | None = None) -> bytes:
    """One event. `orjson` writes no line end, so the data is one line."""
    lines = [f"id: {position}"] if position is not None else []
    lines += [f"event: {name}"] if name else []
    return "\n".join([*lines, f"data: {orjson.dumps(data).decode()}", "", ""]).encode()


def last_event_id(request: Request) -> int:
    """Where a reader that was cut off goes on; 0: at the beginning."""
    told = request.headers.get("last-event-id", "").strip()
    if not told:
        return 0
    if not _POSITION.fullmatch(told):
        error = job_error(
            ErrorCode.INVALID_FIELD,
            f"Last-Event-ID: {short_echo(told)[:20]!r} is not the id of an event; allowed: a whole number",
            field="Last-Event-ID",
        )
        raise InvalidRequest(error)
    return int(told)
