"""How many jobs run here, and how long one takes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

_WEIGHT = 0.05
"""Of the newest run: the mean follows a change within some tens of jobs."""


class RunMeter:
    """Counts runs, from their begin to their stored result."""

    def __init__(self) -> None:
        self.running = 0
        self.run_seconds: float | None = None
        """An exponentially weighted mean; None before the first end."""

    @contextmanager
    def run(self) -> Iterator[None]:
        """One run, while the block lasts."""
        started_at = time.monotonic()
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._count(time.monotonic() - started_at)

    def _count(self, seconds: float) -> None:
        mean = seconds if self.run_seconds is None else self.run_seconds
        self.run_seconds = mean + _WEIGHT * (seconds - mean)
