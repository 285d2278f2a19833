"""A Prometheus counter and a gauge for the path that every request takes.

They take no lock: who counts and who scrapes share one thread.
"""

from prometheus_client import Counter, Gauge


class QuickCounter(Counter):
    """Bears no exemplars."""

    def inc(self, amount: float = 1, exemplar: dict[str, str] | None = None) -> None:
        if exemplar is not None or amount < 0:
            super().inc(amount, exemplar)
            return
        self._value._value += amount  # noqa: SLF001 # nothing public does this


class QuickGauge(Gauge):
    """Up and down."""

    def inc(self, amount: float = 1) -> None:
        self._value._value += amount  # noqa: SLF001 # nothing public does this

    def dec(self, amount: float = 1) -> None:
        self._value._value -= amount  # noqa: SLF001 # nothing public does this
