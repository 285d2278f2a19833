"""How many jobs work at once, and whose turn it is when one of them ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.domain.priority import PRIORITIES, Priority, Weights
from shared.domain.weighted_queue import WeightedQueue

_ALIKE: Weights = dict.fromkeys(PRIORITIES, 1)


class Slots:
    """A semaphore whose waiters stand in lanes, and whose holders may do without for a while."""

    def __init__(self, most: int, weights: Weights = _ALIKE) -> None:
        self.most = most
        self._free = most
        self._waiters: WeightedQueue[asyncio.Future[None]] = WeightedQueue(weights)
        self._missing = 0
        """Of holders that ended while theirs was lent: they have none to give back."""

    async def acquire(self, priority: Priority) -> None:
        if self._free > 0:  # then nobody waits
            self._free -= 1
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.put(priority, waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():  # it was given a slot, and will not use it
                self._give()
            raise

    def release(self) -> None:
        """To who is next, or back."""
        if self._missing:
            self._missing -= 1
        else:
            self._give()

    @asynccontextmanager
    async def lent(self, priority: Priority) -> AsyncIterator[None]:
        """Somebody else has the slot while the block runs; who is cut off does not wait to get it back."""
        self._give()
        try:
            yield
            await self.acquire(priority)
        except BaseException:
            self._missing += 1
            raise

    def waiting(self, priority: Priority) -> int:
        return self._waiters.waiting(priority)

    def _give(self) -> None:
        while self._waiters:
            waiter = self._waiters.take()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._free += 1
