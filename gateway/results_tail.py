"""While the store is away, results come from `llm-results`."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from loguru import logger

from shared.background import in_background
from shared.domain.job import JobId
from shared.domain.result import Failed, Succeeded
from shared.fault_text import describe
from shared.ports import Run

_MARGIN_SECONDS = 30.0
"""Results that were logged since the store fell silent, which takes some seconds to notice."""
_RETRY_SECONDS = 1.0


class TailedStore(Protocol):
    """A store that can be away."""

    async def until_degraded(self) -> None: ...
    async def until_healthy(self) -> None: ...
    async def restore(self, run: Run, result: Succeeded | Failed) -> Succeeded | Failed | None: ...


class ResultReader(Protocol):
    """The log of results."""

    def follow(self, since: float) -> AsyncIterator[Sequence[tuple[Run, Succeeded | Failed]]]: ...


Settle = Callable[[JobId, Succeeded | Failed], Awaitable[None]]


@asynccontextmanager
async def tail_results(
    store: TailedStore, reader: ResultReader, settle: Settle | None = None
) -> AsyncIterator[None]:
    """Hand the store, whenever it is away, every result that is logged, while the block runs.

    `settle`: who holds something for the jobs that ended.
    """
    async with in_background(_tail_forever(store, reader, settle)):
        yield


async def _tail_forever(store: TailedStore, reader: ResultReader, settle: Settle | None) -> None:
    while True:
        await store.until_degraded()
        async with in_background(_tail(store, reader, settle, time.time() - _MARGIN_SECONDS)):
            await store.until_healthy()


async def _tail(store: TailedStore, reader: ResultReader, settle: Settle | None, since: float) -> None:
    while True:
        try:
            async for told in reader.follow(since):
                for run, result in told:
                    if settle is not None:
                        await settle(run.id, result)
                    await store.restore(run, result)
        except Exception as fault:
            logger.bind(fault=describe(fault)).warning("results_not_read")
            await asyncio.sleep(_RETRY_SECONDS)
