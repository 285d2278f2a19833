"""In which order the lanes' records enter the window."""

import asyncio
from math import gcd

from shared.domain.priority import Priority, Weights
from worker.window import Window


class Turn:
    """A lane at the gate, and how many records it may still bring while others wait behind it."""

    __slots__ = ("give_up_at", "is_ours", "left")

    def __init__(self, quantum: int) -> None:
        self.left = quantum
        self.is_ours = False
        self.give_up_at: float | None = None
        """Set with the first wait: most turns have none."""


class LaneGate:
    """Weighted round robin: lanes that wait for room take turns, each of as many records as its weight.

    A lane that is alone here has one turn without end. Patience is for all of a turn's waits together: a
    consumer that does not poll in time loses its partitions.
    """

    def __init__(self, window: Window, weights: Weights, patience_seconds: float) -> None:
        unit = gcd(*weights.values())
        self._quanta = {priority: weight // unit for priority, weight in weights.items()}
        self._window = window
        self._patience_seconds = patience_seconds
        self._lock = asyncio.Lock()
        self._lanes_here = 0

    async def begin(self, priority: Priority) -> Turn:
        """Return when it is this lane's turn, or when its patience ends, and then for one record."""
        turn = Turn(self._quanta[priority])
        self._lanes_here += 1
        try:
            turn.is_ours = await (self._stand_in_line(turn) if self.is_contended else self._lock.acquire())
        except asyncio.CancelledError:
            self._lanes_here -= 1
            raise
        return turn

    def end(self, turn: Turn) -> None:
        self._lanes_here -= 1
        if turn.is_ours:
            self._lock.release()

    async def wait_for_room(self, turn: Turn) -> None:
        """Return when there is room, or when patience ends."""
        if not self._window.room:
            await self._window.wait_for_room(self._patience_left(turn))

    def room(self, turn: Turn) -> int:
        """How many records may enter now, in this turn."""
        return min(self._window.room, turn.left) if self.is_contended else self._window.room

    @property
    def is_contended(self) -> bool:
        return self._lanes_here > 1

    async def _stand_in_line(self, turn: Turn) -> bool:
        try:
            async with asyncio.timeout(self._patience_left(turn)):
                return await self._lock.acquire()
        except TimeoutError:
            turn.left = 1
            return False

    def _patience_left(self, turn: Turn) -> float:
        now = asyncio.get_running_loop().time()
        if turn.give_up_at is None:
            turn.give_up_at = now + self._patience_seconds
        return max(0.0, turn.give_up_at - now)
