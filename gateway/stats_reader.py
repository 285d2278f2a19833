"""The sums of the whole service as a gateway reads them: once a second at most, whoever asks."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gateway.figures import Amounts
from shared.domain.totals import SLICE_SECONDS
from shared.ports import Sums

HOUR_SECONDS = 3_600
_FRESH_SECONDS = 1.0
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
        self._reading: Reading | None = None
        self._read_at = 0.0
        self._lock = asyncio.Lock()

    async def read(self) -> Reading:
        """Not older than a second; `StoreUnavailable`."""
        async with self._lock:
            if self._reading is None or self._clock() - self._read_at >= _FRESH_SECONDS:
                self._reading = await self._read(self._clock())
                self._read_at = self._clock()
            return self._reading

    async def _read(self, now: float) -> Reading:
        starts = _starts(now)
        asked = [start for start in starts if start not in self._slices or start > now - _SETTLED_SECONDS]
        totals, slices = await asyncio.gather(self._sums.totals(), self._sums.slices(asked))
        known = {**self._slices, **dict(zip(asked, slices, strict=True))}
        self._slices = {start: known[start] for start in starts}
        return Reading(totals, self._slices)


def _starts(now: float) -> Sequence[int]:
    """The slices of the last hour; clocks differ, so the next one may have begun."""
    latest = int(now) // SLICE_SECONDS * SLICE_SECONDS
    return range(latest - HOUR_SECONDS, latest + 2 * SLICE_SECONDS, SLICE_SECONDS)
