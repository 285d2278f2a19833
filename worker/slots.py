"""How many jobs work at once. One that only waits for time to pass lends its slot."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType


class Slots:
    """A semaphore whose holders may do without for a while."""

    def __init__(self, most: int) -> None:
        self._free = asyncio.Semaphore(most)
        self._missing = 0
        """Of holders that ended while theirs was lent: they have none to give back."""

    async def __aenter__(self) -> None:
        await self._free.acquire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._missing:
            self._missing -= 1
        else:
            self._free.release()

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[None]:
        """Somebody else has the slot while the block runs; who is cut off does not wait to get it back."""
        self._free.release()
        try:
            yield
            await self._free.acquire()
        except BaseException:
            self._missing += 1
            raise
