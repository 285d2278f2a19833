"""How many calls at once a provider key is good for: additive increase, multiplicative decrease, like TCP.

After a time in which nothing was answered the way back is short (RFC 5681, 3.1): half of what was used before
is remembered, and up to there every answer is worth one more. After a provider that refused everybody for ten
seconds, a hundred calls at once would else take a hundred rounds.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable

from worker.metrics import KEY_WAITS
from worker.ports import LLMError, RateLimited

_LONGEST_PAUSE_SECONDS = 60.0
_LOOK_SECONDS = 1.0


class KeyUse:
    """The calls of one key. It has no limit until the provider answers the first 429."""

    def __init__(self, most: int, pause_seconds: float, now: Callable[[], float], *, least: int) -> None:
        self._most = most
        self._least = least
        self._pause_seconds = pause_seconds
        self._now = now
        self.in_flight = 0
        self.limit: int | None = None
        self.decreases = 0
        self._climbs_to = 0
        """Half of what was used when the trouble began."""
        self._is_proven = False
        """A call was answered that began after the last decrease."""
        self._answered = 0
        self._was_full = False
        self._paused_until = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def is_idle(self) -> bool:
        return not self.in_flight and not self._waiting

    def hold_seconds(self) -> float:
        """How long a job that has not begun had better wait; 0: it may begin."""
        if self.limit is None:
            return 0.0
        if self.in_flight + len(self._waiting) < self.limit:
            return self._left_seconds()
        return max(self._left_seconds(), random.uniform(0, _LOOK_SECONDS))  # noqa: S311

    def take(self) -> bool:
        """A place for a call, if there is one now."""
        if self.limit is not None and (
            self.in_flight >= self.limit or self._waiting or self._left_seconds() > 0
        ):
            return False
        self._enter()
        return True

    async def wait_for_place(self) -> None:
        """In the order of asking; `RateLimited`, and no call, while the provider wants to be left alone."""
        KEY_WAITS.inc()
        if (seconds := self._left_seconds()) > 0:
            raise _come_again(seconds)
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.give_back()  # it was given a place in the moment in which it left
            raise

    def succeed(self, decreases: int) -> None:
        """A call was answered that began after so many decreases."""
        if self.limit is not None and decreases == self.decreases:
            self._is_proven = True
            self._count_answer(self.limit)
        self.give_back()

    def fail(self, decreases: int, fault: LLMError) -> None:
        """A call failed that began after so many decreases."""
        if isinstance(fault, RateLimited) and self._least < self._most:
            self._slow_down(decreases, fault.retry_after_seconds)
        self.give_back()

    def give_back(self) -> None:
        """A call ended."""
        self.in_flight -= 1
        if self._waiting:
            self._let_in()

    def _enter(self) -> None:
        self.in_flight += 1
        self._was_full = self._was_full or self.in_flight == self.limit

    def _count_answer(self, limit: int) -> None:
        """One more at once for a round of answers, if all places were used; at `most` the limit is gone."""
        if limit < self._climbs_to:
            self.limit = limit + self._was_full
            return
        self._answered += 1
        if self._answered < limit:
            return
        if self._was_full:
            self.limit = limit + 1 if limit + 1 < self._most else None
        self._answered, self._was_full = 0, False

    def _slow_down(self, decreases: int, retry_after_seconds: float | None) -> None:
        """Half as many, once for all calls that were under way together; and a pause for the key."""
        is_first = decreases == self.decreases
        if is_first:
            used = self.in_flight if self.limit is None else min(self.limit, self.in_flight)
            half = max(self._least, used // 2)
            if self.limit is None or self._is_proven:
                self._climbs_to = half
            self.limit, self._answered, self._was_full, self._is_proven = half, 0, False, False
            self.decreases += 1
        told = retry_after_seconds if retry_after_seconds is not None else self._pause_seconds * is_first
        pause_seconds = min(told, _LONGEST_PAUSE_SECONDS)
        self._paused_until = max(self._paused_until, self._now() + pause_seconds)
        self._turn_away()

    def _let_in(self) -> None:
        while self._waiting and (self.limit is None or self.in_flight < self.limit):
            turn = self._waiting.popleft()
            if not turn.done():
                self._enter()
                turn.set_result(None)

    def _turn_away(self) -> None:
        """Those who wait shall not come all at once when the pause ends."""
        seconds = self._left_seconds()
        while seconds > 0 and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(_come_again(seconds))

    def _left_seconds(self) -> float:
        return max(0.0, self._paused_until - self._now())


def _come_again(seconds: float) -> LLMError:
    fault = RateLimited(
        "The provider's rate limit is used up; nothing was asked", retry_after_seconds=seconds
    )
    fault.attempts = 0
    return fault
