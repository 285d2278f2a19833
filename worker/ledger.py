"""What of one partition is taken and not yet finished, during one assignment."""

import asyncio


class Ledger:
    """Offsets taken in order and finished in any order; only the lowest unfinished one may be committed."""

    def __init__(self) -> None:
        self._unfinished: dict[int, None] = {}  # in the order taken
        self._next_offset = 0
        self._ended = asyncio.Event()
        self.committed_offset = 0
        self.is_paused = False

    @property
    def is_alive(self) -> bool:
        """Whether the partition is still assigned as it was when the ledger was opened."""
        return not self._ended.is_set()

    @property
    def watermark(self) -> int:
        """The offset to commit: everything below it is finished."""
        return next(iter(self._unfinished), self._next_offset)

    @property
    def span(self) -> int:
        """Offsets from the first unfinished to the last taken."""
        return self._next_offset - self.watermark

    def take(self, offset: int) -> None:
        self._unfinished[offset] = None
        self._next_offset = offset + 1

    def finish(self, offset: int) -> None:
        del self._unfinished[offset]

    def end(self) -> None:
        """The partition is gone: who waits here need wait no more."""
        self._ended.set()

    async def sleep(self, seconds: float) -> None:
        """Sleep, or wake when the ledger ends."""
        try:
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        except TimeoutError:
            return
