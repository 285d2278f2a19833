"""An OpenTelemetry collector in this process: OTLP over HTTP in, spans out."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.support.ports import free_port
from tests.support.server import Server

_POLL_SECONDS = 0.02
_TRACES_PATH = "/v1/traces"


@dataclass(frozen=True)
class ToldSpan:
    """A span as it arrived."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: Mapping[str, Any]
    is_error: bool
    started_ns: int
    ended_ns: int


class OtlpCollector(Server):
    """Its port stays the same when it is stopped and started again, and so does what it was told."""

    def __init__(self) -> None:
        self._port = free_port()
        self._server: ThreadingHTTPServer | None = None
        self.received: list[bytes] = []
        """All that was sent here, also where no traces belong."""
        self._traces: list[bytes] = []

    @property
    def name(self) -> str:
        return "OTLP collector"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def settings(self) -> dict[str, str]:
        """What a process is given to tell it its traces, soon."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}

    def start(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), _handler(self.take))
        threading.Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def take(self, path: str, body: bytes) -> bool:
        """What was sent to `path`; whether it belongs there."""
        self.received.append(body)
        if path != _TRACES_PATH:
            return False
        self._traces.append(body)
        return True

    def spans(self) -> list[ToldSpan]:
        """All that were told, in the order in which they began."""
        told = [span for body in list(self._traces) for span in _spans(body)]
        return sorted(told, key=lambda span: span.started_ns)

    def trace(self, trace_id: str) -> list[ToldSpan]:
        return [span for span in self.spans() if span.trace_id == trace_id]

    def wait_for(
        self, is_whole: Callable[[list[ToldSpan]], bool], timeout_seconds: float = 30
    ) -> list[ToldSpan]:
        """The spans, when they are `is_whole`."""
        deadline = time.monotonic() + timeout_seconds
        while not is_whole(spans := self.spans()):
            if time.monotonic() > deadline:
                raise AssertionError(f"not told: {[(span.kind, span.name) for span in spans]}")
            time.sleep(_POLL_SECONDS)
        return spans


def _handler(receive: Callable[[str, bytes], bool]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200 if receive(self.path, body) else 404)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    return Handler


def _spans(body: bytes) -> list[ToldSpan]:
    return [
        _told(span, str(_values(resource.resource.attributes).get("service.name")))
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _told(span: WireSpan, service: str) -> ToldSpan:
    return ToldSpan(
        service=service,
        name=span.name,
        kind=WireSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        attributes=_values(span.attributes),
        is_error=span.status.code == Status.STATUS_CODE_ERROR,
        started_ns=span.start_time_unix_nano,
        ended_ns=span.end_time_unix_nano,
    )


def _values(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in _each(pairs)}


def _each(pairs: Any) -> list[KeyValue]:
    return list(pairs)


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind is not None else None
