"""Whether what a gateway needs is there, as it was looked at last."""

import asyncio
from collections.abc import Collection

from gateway.ports import JobQueue
from shared.ports import ResultStore
from shared.telemetry.process_metrics import DEPENDENCY_UP

_LOOK_SECONDS = 2.0


class DependencyWatch:
    """For the page, and of those that are `needed` for whoever scrapes; neither question raises."""

    def __init__(self, store: ResultStore, queue: JobQueue, needed: Collection[str] = ()) -> None:
        self._store = store
        self._queue = queue
        self._needed = needed
        self.is_store_available = True
        self.is_queue_available = True

    async def look(self) -> None:
        """Ask both now."""
        self.is_store_available, self.is_queue_available = await asyncio.gather(
            self._store.is_available(), self._queue.is_available()
        )
        seen = {"redis": self.is_store_available, "kafka": self.is_queue_available}
        for name in self._needed:
            DEPENDENCY_UP.labels(name).set(seen[name])

    async def follow(self) -> None:
        """Look for ever."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_SECONDS)
