"""A few jobs that ended one after the other, and how long they took."""

import math

_FEWEST_JOBS = 8
_LEAST_SECONDS = 0.02


class WaitWindow:
    """Enough of them to tell a queue from chance."""

    def __init__(self, began_at: float) -> None:
        self.began_at = began_at
        self.least_wait_seconds = math.inf
        self._jobs = 0
        self._seconds = 0.0
        self._wait_seconds = 0.0

    def add(self, seconds: float, wait_seconds: float) -> None:
        """One job: what it took, and what of that was not the provider's time."""
        self._jobs += 1
        self._seconds += seconds
        self._wait_seconds += wait_seconds
        self.least_wait_seconds = min(self.least_wait_seconds, wait_seconds)

    def is_full(self, now: float) -> bool:
        """Whether it can be judged."""
        return self._jobs >= _FEWEST_JOBS and now - self.began_at >= _LEAST_SECONDS

    @property
    def mean_seconds(self) -> float:
        return self._seconds / self._jobs

    @property
    def mean_wait_seconds(self) -> float:
        return self._wait_seconds / self._jobs
