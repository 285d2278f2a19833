"""The points of the plots: every half a minute of the last hour, and to a reader only those that changed."""

from collections.abc import Mapping
from typing import Any

from gateway.figures import Amounts, add_up, figures
from gateway.queue_history import Peak
from shared.domain.totals import SLICE_SECONDS

POINT_SECONDS = 3 * SLICE_SECONDS
"""Of ten seconds there are few jobs in many services, and their percentiles jump."""

_FIGURES = ("requests", "cache", "tokens", "cost_usd", "errors", "latency_ms")


class PlotPoints:
    """What one reader has not seen yet."""

    def __init__(self) -> None:
        self._known: Mapping[int, Amounts] = {}
        self._known_peaks: Mapping[int, Peak] = {}

    def of_jobs(self, slices: Mapping[int, Amounts]) -> list[dict[str, Any]]:
        """The figures of every point in which something new happened."""
        changed = {_point_of(start) for start, sums in slices.items() if self._known.get(start, {}) != sums}
        self._known = slices
        return [_figures_from(at, slices) for at in sorted(changed)]

    def of_queue(self, peaks: Mapping[int, Peak]) -> list[dict[str, int]]:
        """The same of what ran and waited at most."""
        changed = {_point_of(start) for start, peak in peaks.items() if self._known_peaks.get(start) != peak}
        self._known_peaks = peaks
        return [_peak_from(at, peaks) for at in sorted(changed)]


def _point_of(start: int) -> int:
    return start // POINT_SECONDS * POINT_SECONDS


def _slices_of(at: int) -> range:
    return range(at, at + POINT_SECONDS, SLICE_SECONDS)


def _figures_from(at: int, slices: Mapping[int, Amounts]) -> dict[str, Any]:
    told = figures(add_up(slices.get(start, {}) for start in _slices_of(at)))
    return {"at": at, "seconds": POINT_SECONDS, **{name: told[name] for name in _FIGURES}}


def _peak_from(at: int, peaks: Mapping[int, Peak]) -> dict[str, int]:
    running, waiting = zip(*(peaks.get(start, (0, 0)) for start in _slices_of(at)), strict=True)
    return {"at": at, "seconds": POINT_SECONDS, "in_flight": max(running), "lag": max(waiting)}
