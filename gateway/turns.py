"""When who is refused shall come again."""

import math
import random
import time
from collections.abc import Callable

_LONGEST_SECONDS = 300.0
_GIVEN_SHARE = 0.9
"""Of what ends: the rest is for who comes anew."""
_SPREAD_SHARE = 0.5
_LEAST_SPREAD_SECONDS = 1.0


class Turns:
    """Each refused caller gets the next turn after the one before, little slower than requests end here.

    So those who obey come as fast as they can be served, and not as one. `Retry-After` knows whole seconds
    alone: told exactly, all of whom the same second was told would come together, and most would be refused
    again. So each comes up to a quarter of his wait sooner or later than his turn. A turn that nobody takes
    costs nobody more than the longest wait.
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
        pause = 1 / (_GIVEN_SHARE * ends_per_second) if ends_per_second else _LEAST_SPREAD_SECONDS
        self._last_at = min(max(self._last_at, now) + pause, now + _LONGEST_SECONDS)
        wait_seconds = self._last_at - now
        spread_seconds = max(_LEAST_SPREAD_SECONDS, _SPREAD_SHARE * wait_seconds)
        jitter_seconds = spread_seconds * random.uniform(-0.5, 0.5)  # noqa: S311
        return max(1, math.floor(wait_seconds + jitter_seconds + random.random()))  # noqa: S311
