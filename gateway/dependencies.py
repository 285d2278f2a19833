"""Whether what a gateway needs is there, for whoever scrapes it."""

import asyncio

from gateway.app_state import Adapters
from gateway.metrics import DEPENDENCY_UP

_LOOK_SECONDS = 5.0


async def watch_dependencies(adapters: Adapters) -> None:
    """Look for ever; neither question raises."""
    while True:
        store, queue = await asyncio.gather(adapters.store.is_available(), adapters.queue.is_available())
        DEPENDENCY_UP.labels("redis").set(store)
        DEPENDENCY_UP.labels("kafka").set(queue)
        await asyncio.sleep(_LOOK_SECONDS)
