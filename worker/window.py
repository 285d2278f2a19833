"""How much a worker holds at once, in jobs and in bytes."""

import asyncio


class Window:
    """Backpressure: who finds it full waits for room. One caller enters at a time."""

    def __init__(self, most_jobs: int, most_bytes: int) -> None:
        self._most_jobs = most_jobs
        self._most_bytes = most_bytes
        self._room = asyncio.Event()
        self._room.set()
        self.jobs = 0
        self.bytes = 0

    @property
    def is_full(self) -> bool:
        return self.jobs >= self._most_jobs or self.bytes >= self._most_bytes

    async def wait_for_room(self, patience_seconds: float) -> None:
        """Return when there is room, or when patience ends: one more is better than a lost partition."""
        if self._room.is_set():  # a time limit costs more than everything else here
            return
        try:
            async with asyncio.timeout(patience_seconds):
                await self._room.wait()
        except TimeoutError:
            return

    @property
    def room(self) -> int:
        """How many jobs more may enter now."""
        return 0 if self.is_full else self._most_jobs - self.jobs

    def enter(self, size_bytes: int) -> None:
        self.jobs += 1
        self.bytes += size_bytes
        if self.is_full:
            self._room.clear()

    def leave(self, size_bytes: int) -> None:
        self.jobs -= 1
        self.bytes -= size_bytes
        if not self.is_full:
            self._room.set()

    def open(self) -> None:
        """Nobody need wait any more: the worker is leaving."""
        self._room.set()
