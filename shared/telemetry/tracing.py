"""Traces: what the services say to them, and the one door to OpenTelemetry.

Nothing of it is loaded unless traces are on. Then there is a `Tracing`, and decorators that use it are wired
in; while they are off, nobody asks.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from typing import Literal, Protocol

SpanKind = Literal["server", "producer", "consumer", "client"]
AttributeValue = str | int | float | bool | Sequence[str]
Attributes = Mapping[str, AttributeValue | None]
"""After OpenTelemetry's semantic conventions where they have a name; None is left out."""

_NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


class Span(Protocol):
    """Something that takes time. No prompt, no answer and no key is told to it."""

    @property
    def traceparent(self) -> str:
        """Its name, for what comes after it."""
        ...

    def rename(self, name: str) -> None: ...

    def note(self, attributes: Attributes) -> None: ...

    def fail(self, error_type: str) -> None:
        """It ended badly; the first word of it counts."""
        ...

    def forget(self) -> None:
        """Nothing came of it: it is told only if there was another one within."""
        ...


class Tracing(Protocol):
    """Where spans are told."""

    def span(self, name: str, kind: SpanKind, attributes: Attributes) -> AbstractContextManager[Span]:
        """A span within the current one."""
        ...

    def continued(
        self, traceparent: str | None, name: str, kind: SpanKind, attributes: Attributes
    ) -> AbstractContextManager[Span]:
        """A span of the trace that came along, or of a new one."""
        ...

    @property
    def current(self) -> Span | None: ...


@contextmanager
def tracing_to(url: str | None, service: str, version: str) -> Iterator[Tracing | None]:
    """Tell traces to `url` while the block runs, and what is left of them at its end; None: they are off."""
    if url is None:
        yield None
        return
    from shared.telemetry.otel_tracing import connect_tracing  # noqa: PLC0415

    with connect_tracing(url, service, version) as tracing:
        yield tracing


def is_tracing_installed() -> bool:
    """Whether the extra `otel` is there."""
    try:
        return all(find_spec(name) is not None for name in _NEEDED)
    except ModuleNotFoundError:
        return False
