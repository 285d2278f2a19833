"""A circuit breaker (M. Nygard, *Release It!*), with a window that counts calls, as resilience4j's does."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

_WINDOW_CALLS = 100
_LEAST_CALLS = 20
_FAILED_SHARE = 0.5
_FORGOTTEN_SECONDS = 60.0
_PROBES = 3
_PROBING_SECONDS = 0.5
"""How long who finds all probes under way waits before it looks again."""


@dataclass(frozen=True, slots=True)
class CircuitRules:
    """When it opens, and for how long."""

    failures_in_a_row: int
    """0: it never opens."""
    open_seconds: float

    @property
    def is_on(self) -> bool:
        return self.failures_in_a_row > 0


class _State(Enum):
    CLOSED = auto()
    OPEN = auto()
    HALF_OPEN = auto()


class Circuit:
    """Closed, until calls fail in a row, or half of the last hundred; then open; then a few calls try.

    `generation` marks the calls between two changes: what an older one comes to says nothing of now.
    """

    def __init__(
        self, rules: CircuitRules, now: Callable[[], float], tell: Callable[["Circuit"], None]
    ) -> None:
        self._rules = rules
        self._now = now
        self._tell = tell
        """Hears of every opening and closing."""
        self._state = _State.CLOSED
        self._generation = 0
        self._failed_at = 0.0
        self._open_until = 0.0
        self._probing = 0
        self._clear()

    @property
    def is_closed(self) -> bool:
        return self._state is _State.CLOSED

    def wait_seconds(self) -> float:
        """Until a call may go out; 0: now."""
        match self._state:
            case _State.CLOSED:
                return 0.0
            case _State.OPEN:
                return max(0.0, self._open_until - self._now())
            case _State.HALF_OPEN:
                return _PROBING_SECONDS if self._probing >= _PROBES else 0.0

    def enter(self) -> int:
        """A call goes out, as `wait_seconds` allowed; `leave` wants the number back."""
        if self._state is not _State.CLOSED:
            if self._state is _State.OPEN:
                self._turn(_State.HALF_OPEN)
            self._probing += 1
        return self._generation

    def leave(self, generation: int, has_failed: bool | None) -> None:  # the hot path
        """What the call came to; None: nothing that tells."""
        if generation != self._generation:
            return
        if self._state is _State.HALF_OPEN:
            self._end_probe(has_failed)
        elif has_failed:
            self._count_failure()
        elif has_failed is not None:
            self._run = 0
            self._count(0)

    def _end_probe(self, has_failed: bool | None) -> None:
        self._probing -= 1
        if has_failed:
            self._open()
        elif has_failed is not None:
            self._answered += 1
            if self._answered == _PROBES:
                self._turn(_State.CLOSED)
                self._tell(self)

    def _count_failure(self) -> None:
        failed_at = self._now()
        if failed_at - self._failed_at > _FORGOTTEN_SECONDS:
            self._clear(calls=len(self._window))
        self._failed_at = failed_at
        self._run += 1
        self._count(1)
        if self._rules.is_on and (self._run >= self._rules.failures_in_a_row or self._is_half_failed()):
            self._open()

    def _is_half_failed(self) -> bool:
        calls = len(self._window)
        return calls >= _LEAST_CALLS and self._failures >= calls * _FAILED_SHARE

    def _count(self, failure: int) -> None:
        if len(self._window) == _WINDOW_CALLS:
            self._failures -= self._window[0]
        self._window.append(failure)
        self._failures += failure

    def _open(self) -> None:
        was_closed = self.is_closed
        self._open_until = self._now() + self._rules.open_seconds
        self._turn(_State.OPEN)
        if was_closed:
            self._tell(self)

    def _turn(self, state: _State) -> None:
        self._state = state
        self._generation += 1
        self._probing = 0
        self._clear()

    def _clear(self, calls: int = 0) -> None:
        """So many calls, and none of them failed."""
        self._run = self._failures = self._answered = 0
        self._window = deque([0] * calls, maxlen=_WINDOW_CALLS)
