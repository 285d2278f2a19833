"""A collector that is away is said once and costs the jobs nothing: spans wait in memory, the oldest go."""

from collections.abc import Sequence

from loguru import logger
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from shared.settings_check import without_credentials


class CalmExporter(SpanExporter):
    """`SpanExporter` that says when the other one begins to fail, and when it ends to."""

    def __init__(self, inner: SpanExporter, url: str) -> None:
        self._inner = inner
        self._url = without_credentials(url)
        self._is_away = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._inner.export(spans)
        self._say(is_away=result is not SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()

    def _say(self, *, is_away: bool) -> None:
        if is_away and not self._is_away:
            logger.bind(url=self._url).warning("traces_not_taken")
        elif self._is_away and not is_away:
            logger.bind(url=self._url).info("traces_taken_again")
        self._is_away = is_away
