"""How many calls run at once, and whose turn it is when one of them ends."""

import asyncio

from shared.domain.priority import Priority, Weights
from shared.domain.weighted_queue import WeightedQueue


class LaneSlots:
    """A semaphore whose waiters stand in lanes."""

    def __init__(self, slots: int, weights: Weights) -> None:
        self._free = slots
        self._waiters: WeightedQueue[asyncio.Future[None]] = WeightedQueue(weights)

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
                self.release()
            raise

    def release(self) -> None:
        """To who is next, or back."""
        while self._waiters:
            waiter = self._waiters.take()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._free += 1

    def waiting(self, priority: Priority) -> int:
        return self._waiters.waiting(priority)
