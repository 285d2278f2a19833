"""When who is refused shall come again."""

import math
import random
import time
from collections.abc import Callable

_LONGEST_SECONDS = 60.0
_JITTER_SECONDS = 1.0


class Turns:
    """Each refused caller gets the next turn after the one before, as fast as requests end here.

    So those who obey come as fast as they can be served, and not as one. A turn that nobody takes costs
    nobody more than the longest wait.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._last_at = -math.inf

    def forget(self) -> None:
        """There is room: whoever comes now is let in."""
        self._last_at = -math.inf

    def next_seconds(self, ends_per_second: float) -> int:
        """From now, in whole seconds, as `Retry-After` wants them."""
        now = self._clock()
        pause = 1 / ends_per_second if ends_per_second else _JITTER_SECONDS
        self._last_at = min(max(self._last_at, now) + pause, now + _LONGEST_SECONDS)
        jitter_seconds = random.uniform(0, _JITTER_SECONDS)  # noqa: S311
        return max(1, math.ceil(self._last_at - now + jitter_seconds))
