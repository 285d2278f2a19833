"""What every request passes: trace id, body limit, one log line, and no traceback for the caller.

Pure ASGI, because Starlette's `BaseHTTPMiddleware` hides that a client has left.
"""

import secrets
import time

from loguru import logger
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.error_responses import refusal
from gateway.http_protocol import REFUSED_WITH
from gateway.metrics import HTTP_IN_PROGRESS, count_http
from gateway.traceparent import TRACEPARENT
from shared.domain.errors import ErrorCode, JobError, job_error
from shared.domain.validation import short_echo
from shared.telemetry.logging import tell_request

_QUIET_PATHS = frozenset({"/health", "/health/live", "/health/ready", "/metrics"})

_CLIENT_LEFT = 499


class BodyTooLarge(Exception):
    """More bytes came than `LLM_MAX_BODY_BYTES`."""


class RequestBoundary:
    """The outermost layer of the app."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._max_body_bytes)
        await exchange.run(self._app)


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, max_body_bytes: int) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._max_body_bytes = max_body_bytes
        self._received_bytes = 0
        self._status = 0
        self._started_at = time.perf_counter()
        traceparent = _header(scope, b"traceparent").decode("latin-1")
        is_traced = TRACEPARENT.fullmatch(traceparent)
        self._trace_id = is_traced[1] if is_traced else secrets.token_hex(16)
        scope.setdefault("state", {}).update(
            trace_id=self._trace_id,
            traceparent=traceparent if is_traced else None,
            started_at=self._started_at,
        )

    async def run(self, app: ASGIApp) -> None:
        HTTP_IN_PROGRESS.inc()
        try:
            self._count(_declared_bytes(self._scope))
            self._received_bytes = 0
            await app(self._scope, self.receive, self.send)
        except ClientDisconnect:  # before its body was whole; nothing was claimed
            self._status = self._scope["state"].get(REFUSED_WITH, _CLIENT_LEFT)
        except BodyTooLarge:
            await self._answer(_too_large(self._max_body_bytes))
        except Exception:
            logger.bind(trace_id=self._trace_id).exception("request_crashed")
            await self._answer(
                job_error(ErrorCode.INTERNAL_ERROR, "A fault of ours; quote the trace_id to its operators")
            )
        finally:
            HTTP_IN_PROGRESS.dec()
            self._tell()

    async def receive(self) -> Message:
        message = await self._receive()
        self._count(len(message.get("body", b"")))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
        await self._send(message)

    def _count(self, received_bytes: int) -> None:
        self._received_bytes += received_bytes
        if self._received_bytes > self._max_body_bytes:
            raise BodyTooLarge

    async def _answer(self, error: JobError) -> None:
        if self._status == 0:
            await refusal(self._scope, error)(self._scope, self._receive, self.send)

    def _tell(self) -> None:
        seconds = time.perf_counter() - self._started_at
        count_http(self._scope, self._status, seconds)
        path = self._scope["path"]
        if path not in _QUIET_PATHS:
            tell_request(
                "request_answered",
                trace_id=self._trace_id,
                request_id=self._scope["state"].get("request_id"),
                owner=self._scope["state"].get("owner"),
                method=self._scope["method"],
                path=short_echo(path),
                status=self._status,
                duration_ms=round(seconds * 1000, 3),
            )


def _too_large(max_body_bytes: int) -> JobError:
    return job_error(
        ErrorCode.BODY_TOO_LARGE,
        f"The body is larger than {max_body_bytes} bytes, which LLM_MAX_BODY_BYTES allows",
        details={"max_body_bytes": max_body_bytes},
    )


def _declared_bytes(scope: Scope) -> int:
    declared = _header(scope, b"content-length")
    return int(declared) if declared.isdigit() else 0


def _header(scope: Scope, name: bytes) -> bytes:
    return next((value for key, value in scope["headers"] if key == name), b"")
