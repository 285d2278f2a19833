"""The sums of the whole service as a gateway reads them: what can change no more is read once."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gateway.figures import Amounts
from shared.domain.totals import SLICE_SECONDS
from shared.ports import Sums

HOUR_SECONDS = 3_600
_SETTLED_SECONDS = 60
"""Copies of results may come late: until then a slice is read again."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the sums said."""

    totals: Amounts
    slices: Mapping[int, Amounts]
    """By when they began, in Unix seconds, the oldest first: an hour."""


class StatsReader:
    """Slices that are settled are asked for once."""

    def __init__(self, sums: Sums, clock: Callable[[], float] = time.time) -> None:
        self._sums = sums
        self._clock = clock
        self._slices: dict[int, Amounts] = {}

    async def read(self) -> Reading:
        """What they are now; `StoreUnavailable`."""
        now, known = self._clock(), self._slices
        starts = _starts(now)
        asked = [start for start in starts if start not in known or start > now - _SETTLED_SECONDS]
        totals, slices = await asyncio.gather(self._sums.totals(), self._sums.slices(asked))
        known = {**known, **dict(zip(asked, slices, strict=True))}
        self._slices = {start: known[start] for start in starts}
        return Reading(totals, self._slices)


def _starts(now: float) -> Sequence[int]:
    """The slices of the last hour; clocks differ, so the next one may have begun."""
    latest = int(now) // SLICE_SECONDS * SLICE_SECONDS
    return range(latest - HOUR_SECONDS, latest + 2 * SLICE_SECONDS, SLICE_SECONDS)
