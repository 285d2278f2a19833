"""The statistics of one process without Redis."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from shared.domain.totals import SINCE_MS, SLICES_KEPT_SECONDS, slice_of


class MemorySums:
    """Sums since the start, and of every slice of the last hour."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._totals: Counter[str] = Counter({SINCE_MS: int(clock() * 1000)})
        self._slices: dict[int, Counter[str]] = {}

    def add(self, amounts: Mapping[str, int], at: datetime) -> None:
        self._totals.update(amounts)
        start = slice_of(at)
        if start not in self._slices:
            self._forget()
        self._slices.setdefault(start, Counter()).update(amounts)

    def totals(self) -> Mapping[str, int]:
        return dict(self._totals)

    def slices(self, starts: Sequence[int]) -> Sequence[Mapping[str, int]]:
        return [dict(self._slices.get(start, {})) for start in starts]

    def _forget(self) -> None:
        oldest = self._clock() - SLICES_KEPT_SECONDS
        self._slices = {start: sums for start, sums in self._slices.items() if start >= oldest}
