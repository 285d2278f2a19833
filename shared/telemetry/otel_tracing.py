"""Traces on OpenTelemetry. Sampling, batches and headers follow its standard `OTEL_*` variables."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from loguru import logger
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span as ApiSpan
from opentelemetry.trace import SpanKind as ApiSpanKind
from opentelemetry.trace import StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.telemetry.otel_exporter import CalmExporter
from shared.telemetry.tracing import Attributes, AttributeValue, SpanKind

if TYPE_CHECKING:
    from loguru import Record

_FLUSH_SECONDS = 5.0
_KINDS: dict[SpanKind, ApiSpanKind] = {
    "server": ApiSpanKind.SERVER,
    "producer": ApiSpanKind.PRODUCER,
    "consumer": ApiSpanKind.CONSUMER,
    "client": ApiSpanKind.CLIENT,
}
_CARRIER = TraceContextTextMapPropagator()


class OtelSpan:
    """`Span` on OpenTelemetry's."""

    def __init__(self, span: ApiSpan) -> None:
        self.api_span = span
        self.has_failed = False
        self.has_inner = False
        self.is_forgotten = False
        self.is_over = False

    @property
    def trace_id(self) -> str:
        return f"{self.api_span.get_span_context().trace_id:032x}"

    @property
    def traceparent(self) -> str:
        context = self.api_span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def rename(self, name: str) -> None:
        self.api_span.update_name(name)

    def note(self, attributes: Attributes) -> None:
        self.api_span.set_attributes(_without_none(attributes))

    def fail(self, error_type: str) -> None:
        if not self.has_failed:
            self.has_failed = True
            self.api_span.set_attribute("error.type", error_type)
            self.api_span.set_status(StatusCode.ERROR)

    def forget(self) -> None:
        self.is_forgotten = True

    def end(self) -> None:
        self.is_over = True
        if self.has_inner or not self.is_forgotten:  # one that is never ended is never told
            self.api_span.end()


def _without_none(attributes: Attributes) -> dict[str, AttributeValue]:
    return {name: value for name, value in attributes.items() if value is not None}


_CURRENT: ContextVar[OtelSpan | None] = ContextVar("current_span", default=None)


class OtelTracing:
    """`Tracing`; the current span goes with the task and the tasks that it begins."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @property
    def current(self) -> OtelSpan | None:
        return _CURRENT.get()

    @contextmanager
    def span(self, name: str, kind: SpanKind, attributes: Attributes) -> Iterator[OtelSpan]:
        outer, parent = _CURRENT.get(), Context()
        if outer is not None:
            outer.has_inner = True
            parent = set_span_in_context(outer.api_span, parent)
        with self._within(parent, name, kind, attributes) as span:
            yield span

    @contextmanager
    def continued(
        self, traceparent: str | None, name: str, kind: SpanKind, attributes: Attributes
    ) -> Iterator[OtelSpan]:
        parent = _CARRIER.extract({"traceparent": traceparent or ""}, Context())
        with self._within(parent, name, kind, attributes) as span:
            yield span

    @contextmanager
    def _within(
        self, parent: Context, name: str, kind: SpanKind, attributes: Attributes
    ) -> Iterator[OtelSpan]:
        span = OtelSpan(self._tracer.start_span(name, parent, _KINDS[kind], _without_none(attributes)))
        token = _CURRENT.set(span)
        try:
            yield span
        except BaseException as fault:
            span.fail(type(fault).__qualname__)  # its text may hold what no trace may
            raise
        finally:
            _CURRENT.reset(token)
            span.end()


@contextmanager
def connect_tracing(url: str, service: str, version: str) -> Iterator[OtelTracing]:
    """Spans go to `url` in batches, by a thread of their own."""
    # What these say while a collector is away, our own line says once.
    for name in ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    own = Resource.create({"service.name": service, "service.version": version})
    # Ours are defaults: what OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say wins.
    provider = TracerProvider(resource=own.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(CalmExporter(OTLPSpanExporter(endpoint=url), url)))
    logger.configure(patcher=_bind_trace)
    try:
        yield OtelTracing(provider.get_tracer("llm-microservice", version))
    finally:
        _shut_down(provider)


def _bind_trace(record: "Record") -> None:
    """A log line says whose trace it is part of. What a span left running is part of none."""
    span = _CURRENT.get()
    if span is not None and not span.is_over:
        record["extra"].setdefault("trace_id", span.trace_id)


def _shut_down(provider: TracerProvider) -> None:
    """Send what is left. Its own limit is 30 s, which a process that ends does not have."""
    closing = threading.Thread(target=provider.shutdown, daemon=True)
    closing.start()
    closing.join(_FLUSH_SECONDS)
    if closing.is_alive():
        logger.bind(waited_seconds=_FLUSH_SECONDS).warning("traces_left_behind")
