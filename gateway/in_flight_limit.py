"""How many requests may be in flight in this process, found out from how long its own jobs wait.

While jobs wait less than the operator allows there is no limit: time in the provider is no waiting. Once
they wait longer, the limit is steered until they wait a tenth of it, as CoDel (RFC 8289, section 4) holds a
standing queue to a tenth of the burst that it lets pass; or little more than before, if that is longer.
A step follows the delay, as TCP Vegas (Brakmo and Peterson 1995) and Netflix's concurrency-limits
(Gradient2Limit) do: multiplied, plus a few, so that gateways before the same workers come to similar shares,
and what cannot be quicker is not starved. Only jobs that began after a step tell of it.
"""

import math
import time
from collections.abc import Callable

from gateway.wait_window import WaitWindow

_TARGET_SHARE = 0.1
_USUAL_TIMES = 1.5
_USUAL_WEIGHT = 0.05
_ROOM = 4
_MOST_CUT, _MOST_RAISE = 0.5, 0.5
_CALM_SECONDS = 1.0
_VAIN_STEPS = 5
_VAIN_LIMIT = 2 * _ROOM + 1
_BASE_GROWTH_PER_SECOND = 1 / 60
_RATE_MEMORY_SECONDS = 2.0

NO_LIMIT = math.inf


class InFlightLimit:
    """`enter` and `leave` around each request; `learn` from each job that was made for one."""

    def __init__(self, max_wait_seconds: float, clock: Callable[[], float] = time.perf_counter) -> None:
        self._max_wait_seconds = max_wait_seconds or math.inf
        self._target_seconds = self._usual_seconds = 0.0
        self._clock = clock
        self.in_flight = 0
        self.limit = NO_LIMIT
        self.ends_per_second = 0.0
        """As they ended lately."""
        self._ends = 0
        self._late_ends = self._late_seconds = 0.0
        self._base_seconds = math.inf
        """What a job that meets nobody takes beyond the provider's time: Kafka, Redis, network."""
        self._window = WaitWindow(clock())
        self._refused_at = -math.inf
        self._vain_steps = 0

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit now."""
        return self.limit != NO_LIMIT

    def enter(self) -> bool:
        """False: it is to be refused."""
        if self.in_flight >= self.limit:
            self._refused_at = self._clock()
            return False
        self.in_flight += 1
        return True

    def leave(self) -> None:
        """A request that entered has its answer."""
        self.in_flight -= 1
        self._ends += 1
        if self.limit != NO_LIMIT and self._clock() - self._refused_at > _CALM_SECONDS:
            self._lift(self._clock())

    def learn(self, began_at: float, provider_seconds: float) -> None:
        """A job ended now; times are `clock`'s."""
        window, now = self._window, self._clock()
        if self.limit != NO_LIMIT and began_at < window.began_at:
            return  # it met the queue of before the last step
        window.add(now - began_at, max(0.0, now - began_at - provider_seconds))
        if window.is_full(now):
            self._step(window, now)

    def _step(self, window: WaitWindow, now: float) -> None:
        seconds, ends = now - window.began_at, max(1, self._ends)
        self._note_rate(ends, seconds)
        self._note_base(window, seconds)
        wait_seconds = max(0.0, window.mean_wait_seconds - self._base_seconds)
        if self.limit != NO_LIMIT:
            self._steer(window, wait_seconds, now)
        else:
            self._begin(window, wait_seconds, ends / seconds, now)
        self._window, self._ends = WaitWindow(now), 0

    def _begin(self, window: WaitWindow, wait_seconds: float, ends_per_second: float, now: float) -> None:
        """A limit, if jobs wait too long, or begin to wait with too many behind them: a flood."""
        calm_seconds = window.mean_seconds - wait_seconds
        behind_seconds = self.in_flight / ends_per_second - calm_seconds  # Little's law
        target_seconds = self._wanted_seconds()
        is_flood = wait_seconds > target_seconds and behind_seconds > self._max_wait_seconds
        if wait_seconds > self._max_wait_seconds or is_flood:
            self._target_seconds, self._vain_steps, self._refused_at = target_seconds, 0, now
            to_come_seconds = max(wait_seconds, min(behind_seconds, 2 * self._max_wait_seconds))
            self.limit = max(2 * _ROOM, self.in_flight * self._share(calm_seconds, to_come_seconds))
        else:
            known_seconds = min(wait_seconds, 2 * target_seconds)
            self._usual_seconds += _USUAL_WEIGHT * (known_seconds - self._usual_seconds)

    def _wanted_seconds(self) -> float:
        """How long a job shall wait while there is a limit."""
        usual_seconds = min(_USUAL_TIMES * self._usual_seconds, self._max_wait_seconds / 2)
        return max(_TARGET_SHARE * self._max_wait_seconds, usual_seconds)

    def _steer(self, window: WaitWindow, wait_seconds: float, now: float) -> None:
        if wait_seconds > self._target_seconds:
            share = max(_MOST_CUT, self._share(window.mean_seconds - wait_seconds, wait_seconds))
        elif self._refused_at >= window.began_at:
            share = 1 + _MOST_RAISE * (1 - wait_seconds / self._target_seconds)
        else:
            return  # nobody met the limit: it says nothing that it is not reached
        self.limit = self.limit * share + _ROOM
        self._vain_steps = self._vain_steps + 1 if share < 1 and self.limit <= _VAIN_LIMIT else 0
        if self._vain_steps == _VAIN_STEPS:  # others fill the queue, or it goes no quicker
            self._vain_steps = 0
            self._target_seconds = min(_USUAL_TIMES * wait_seconds, self._max_wait_seconds)

    def _share(self, calm_seconds: float, wait_seconds: float) -> float:
        """Of what is in flight, how much would wait just as long as wanted."""
        return (calm_seconds + self._target_seconds) / (calm_seconds + wait_seconds)

    def _lift(self, now: float) -> None:
        self.limit = NO_LIMIT
        self._window, self._ends = WaitWindow(now), 0

    def _note_rate(self, ends: int, seconds: float) -> None:
        """A window counts for as long as it was: short ones are those that a burst has filled."""
        kept = math.exp(-seconds / _RATE_MEMORY_SECONDS)
        self._late_ends = kept * self._late_ends + ends
        self._late_seconds = kept * self._late_seconds + seconds
        self.ends_per_second = self._late_ends / self._late_seconds

    def _note_base(self, window: WaitWindow, seconds: float) -> None:
        """The least of late: it may grow, slowly, and never so far that nothing would be too long."""
        grown = self._base_seconds * (1 + _BASE_GROWTH_PER_SECOND * seconds)
        self._base_seconds = min(window.least_wait_seconds, grown, self._max_wait_seconds / 2)
