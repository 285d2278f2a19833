"""How many jobs ran and waited, as a gateway has seen it: the peak of every ten seconds of an hour."""

import time
from collections.abc import Callable, Mapping

from shared.domain.queue_load import QueueLoad
from shared.domain.totals import SLICE_SECONDS

_MOST_SLICES = 360

Peak = tuple[int, int]
"""Running and waiting."""


class QueueHistory:
    """Of the whole service, from when this process began."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._peaks: dict[int, Peak] = {}

    def note(self, load: QueueLoad | None) -> None:
        """What was seen just now; None: nobody knows, which is a gap."""
        if load is None:
            return
        start = int(self._clock()) // SLICE_SECONDS * SLICE_SECONDS
        running, waiting = self._peaks.get(start, (0, 0))
        self._peaks[start] = (max(running, load.running), max(waiting, load.lag))
        if len(self._peaks) > _MOST_SLICES:
            del self._peaks[min(self._peaks)]

    def peaks(self) -> Mapping[int, Peak]:
        """By when the ten seconds began, in Unix seconds."""
        return dict(self._peaks)
