"""Uvicorn's HTTP/1.1, and what it leaves open: a client that leaves, is slow, or never ends its head.

Nothing here costs a request that arrives whole in one piece more than two attributes.
"""

import asyncio
import secrets
from typing import Any

import orjson
from loguru import logger
from starlette.types import ASGIApp
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from gateway.door import Door
from gateway.error_responses import STATUS_OF_CODE, error_body
from shared.domain.errors import ErrorCode, JobError, job_error

_MOST_HEAD_BYTES = 65_536
REFUSED_WITH = "refused_with"
"""In the state of a request: the status that went out while the app still read the body."""


def http_protocol(receive_timeout_seconds: float, door: Door | None = None) -> type[HttpToolsProtocol]:
    """The protocol class of a server."""

    class BoundProtocol(CarefulProtocol):
        _patience_seconds = receive_timeout_seconds
        _door = door

    return BoundProtocol


class CarefulProtocol(HttpToolsProtocol):
    """One connection."""

    _patience_seconds: float
    _door: Door | None = None
    _patience: asyncio.TimerHandle | None = None
    _is_receiving = False
    _has_head = False
    _received_bytes = 0
    """Since the last request was whole."""
    _refusal: JobError | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_patience()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._end_patience()
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            caller = cycle.scope["state"].get("caller")
            if caller is not None:
                caller.leave()

    def data_received(self, data: bytes) -> None:
        self._received_bytes += len(data)
        super().data_received(data)
        if self._is_receiving:
            if not self._has_head and self._received_bytes > _MOST_HEAD_BYTES:
                self._refuse(_HEAD_TOO_LARGE)
            self._start_patience()

    def on_message_begin(self) -> None:
        self._is_receiving, self._has_head = True, False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._has_head = True
        if self._received_bytes > _MOST_HEAD_BYTES and self._head_bytes() > _MOST_HEAD_BYTES:
            self._refusal = _HEAD_TOO_LARGE
            raise ValueError("the head is too large")  # the parser stops, and uvicorn refuses
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._is_receiving, self._received_bytes = False, 0
        self._end_patience()
        super().on_message_complete()
        if self.cycle.response_complete and self.timeout_keep_alive_task is None:
            # Its answer was there before its body, whose arrival ended the watch over an idle connection.
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]
        door = self._door
        if door is not None and door.guards(cycle.scope):
            if not door.limit.enter():
                self._turn_away(cycle, door)
                return
            app = door.counted(app)
        super()._start_asgi_task(cycle, app)  # type: ignore[arg-type]

    def _turn_away(self, cycle: RequestResponseCycle, door: Door) -> None:
        """Uvicorn drops the body of a request that has its answer. A large one is not worth the wait."""
        keeps_connection = cycle.keep_alive and not cycle.waiting_for_100_continue and _is_small(cycle)
        self.transport.write(door.refuse(cycle.scope, keeps_connection=keeps_connection))
        cycle.response_started = cycle.response_complete = True
        if not keeps_connection:
            self.transport.close()
        elif self.pipeline:  # not at once: a long pipeline would be a deep recursion
            self.loop.call_soon(self.on_response_complete)
        else:
            self.on_response_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(self._refusal or _INVALID_HTTP)

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _start_patience(self) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(self._patience_seconds, self._lose_patience)

    def _end_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _lose_patience(self) -> None:
        self._patience = None
        if self._is_answering():  # it was us who stopped reading
            self._start_patience()
        elif self._is_receiving and not self._has_answer():
            self._refuse(_TOO_SLOW)
        else:  # a connection that never said a word, or whose body is of no use any more
            self.transport.close()

    def _is_answering(self) -> bool:
        """Whether an earlier request of this connection has no answer yet."""
        cycle = self.cycle
        is_open = cycle is not None and not cycle.response_complete
        return is_open and (not cycle.more_body or bool(self.pipeline))

    def _has_answer(self) -> bool:
        """Whether the request that is just arriving was answered already."""
        return self._has_head and self.cycle is not None and self.cycle.response_complete

    def _refuse(self, error: JobError) -> None:
        """Answer for the app, which may still wait for the body, and hang up."""
        if self.transport.is_closing():
            return
        cycle = self.cycle
        is_unanswered = cycle is None or cycle.response_complete or not cycle.response_started
        if is_unanswered and not self._is_answering():
            trace_id = secrets.token_hex(16)
            status = STATUS_OF_CODE[error.error_code]
            if cycle is not None and not cycle.response_complete:
                state: dict[str, Any] = cycle.scope["state"]
                trace_id = state.get("trace_id", trace_id)
                state[REFUSED_WITH] = status
            else:
                logger.bind(trace_id=trace_id, status=status, reason=error.error_code).info("request_refused")
            self.transport.write(_raw_response(status, orjson.dumps(error_body(error, None, trace_id))))
        self.transport.close()


def _is_small(cycle: RequestResponseCycle) -> bool:
    told = next((value for name, value in cycle.scope["headers"] if name == b"content-length"), b"")
    return told.isdigit() and int(told) <= HIGH_WATER_LIMIT


def _raw_response(status: int, body: bytes) -> bytes:
    head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
    return STATUS_LINE[status] + head + body


_TOO_SLOW = job_error(ErrorCode.REQUEST_TIMEOUT, "The request did not arrive in time; send it again")
_HEAD_TOO_LARGE = job_error(
    ErrorCode.HEADERS_TOO_LARGE,
    f"The head of the request is larger than {_MOST_HEAD_BYTES} bytes",
    details={"max_head_bytes": _MOST_HEAD_BYTES},
)
_INVALID_HTTP = job_error(ErrorCode.INVALID_HTTP, "This is not valid HTTP/1.1")
