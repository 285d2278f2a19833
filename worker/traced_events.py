"""How a job ended, on its span: from the fact that is told of it."""

from shared.domain.events import Event, JobFailed, JobFinished, ProviderCalled
from shared.ports import EventSink
from shared.telemetry.tracing import Span, Tracing


class TracedEvents:
    """`EventSink` that notes on the current span what is told while it runs."""

    def __init__(self, inner: EventSink, tracing: Tracing) -> None:
        self._inner = inner
        self._tracing = tracing

    def emit(self, event: Event) -> None:
        if (span := self._tracing.current) is not None:
            _note(span, event)
        self._inner.emit(event)


def _note(span: Span, event: Event) -> None:
    match event:
        case JobFinished():
            span.note(
                {
                    "llm.job.status": event.status,
                    "llm.job.attempts": event.attempts,
                    "llm.job.cached": event.cached,
                    "llm.job.queue_ms": event.queue_ms,
                    "llm.job.cost_usd": event.cost_usd,
                }
            )
        case JobFailed():
            span.note({"request_id": event.request_id})
            span.fail(event.error["error_code"])
        case ProviderCalled():
            pass  # it has a span of its own
