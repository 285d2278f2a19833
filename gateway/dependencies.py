"""Whether what a gateway needs is there, as it was looked at last."""

import asyncio

from gateway.metrics import DEPENDENCY_UP
from gateway.ports import JobQueue
from shared.ports import ResultStore

_LOOK_SECONDS = 2.0


class DependencyWatch:
    """For whoever scrapes it, and for the page; neither question raises."""

    def __init__(self, store: ResultStore, queue: JobQueue) -> None:
        self._store = store
        self._queue = queue
        self.is_store_available = True
        self.is_queue_available = True

    async def look(self) -> None:
        """Ask both now."""
        self.is_store_available, self.is_queue_available = await asyncio.gather(
            self._store.is_available(), self._queue.is_available()
        )
        DEPENDENCY_UP.labels("redis").set(self.is_store_available)
        DEPENDENCY_UP.labels("kafka").set(self.is_queue_available)

    async def follow(self) -> None:
        """Look for ever."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_SECONDS)
