"""The span of every request, around all other layers; there only while traces are on."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http_protocol import REFUSED_WITH
from shared.domain.validation import short_echo
from shared.telemetry.tracing import Attributes, Span, Tracing

_UNTRACED_PATHS = frozenset({"/health", "/health/live", "/health/ready", "/metrics"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CARRIER = b"traceparent"
_FIRST_FAULT_OF_OURS = 500


class TracedRequests:
    """The layer inside finds this span in the request's `traceparent`, as if the caller had sent it."""

    def __init__(self, app: ASGIApp, *, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _UNTRACED_PATHS:
            await self._app(scope, receive, send)
            return
        status = 0

        async def watched_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._tracing.continued(_carried(scope), _method(scope), "server", _asked(scope)) as span:
            others = [header for header in scope["headers"] if header[0] != _CARRIER]
            scope["headers"] = [*others, (_CARRIER, span.traceparent.encode())]
            try:
                await self._app(scope, receive, watched_send)
            finally:
                _tell(span, scope, status)


def _carried(scope: Scope) -> str | None:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == _CARRIER), None)


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in _METHODS else "HTTP"


def _asked(scope: Scope) -> Attributes:
    """Neither the query nor a header: a caller may have put a key there."""
    host, port = scope.get("server") or (None, None)
    return {
        "http.request.method": scope["method"] if scope["method"] in _METHODS else "_OTHER",
        "url.scheme": scope.get("scheme"),
        "url.path": short_echo(scope["path"]),
        "network.protocol.version": scope.get("http_version"),
        "server.address": host,
        "server.port": port,
    }


def _tell(span: Span, scope: Scope, status: int) -> None:
    route, state = scope.get("route"), scope.get("state", {})
    if route is not None:
        span.rename(f"{_method(scope)} {route.path}")
    status = status or state.get(REFUSED_WITH, 0)
    span.note(
        {
            "http.route": route.path if route is not None else None,
            "http.response.status_code": status or None,
            "request_id": state.get("request_id"),
            "owner": state.get("owner"),
        }
    )
    if not status:
        span.fail("client_left")
    elif status >= _FIRST_FAULT_OF_OURS:
        span.fail(str(status))
