"""The store gets back what it lost: results that were logged while it was away, and those it forgot.

Once a second the condition of the store is looked at. After it was away, restarted, failed over or came back
empty, one worker reads the log of results from where the store was last known to be whole, and stores what is
missing; the first writer wins, so reading too much costs time alone. While all is well nothing is read.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from loguru import logger

from shared.background import in_background
from shared.ports import ResultLogUnavailable, StoreUnavailable
from worker.ports import ConditionKeeper, RestorableStore, ResultReader, StoreCondition

_LOOK_SECONDS = 1.0
_MARK_SECONDS = 10.0
_MARGIN_SECONDS = 30.0
"""Covers a mark made just before the store went away, clocks that differ, and a replica that lagged."""


@asynccontextmanager
async def restore_in_background(
    store: RestorableStore, condition: ConditionKeeper, reader: ResultReader
) -> AsyncIterator[None]:
    """Keep the store whole while the block runs."""
    async with in_background(ResultRestorer(store, condition, reader).run()):
        yield


class ResultRestorer:
    """One worker's part in it."""

    def __init__(self, store: RestorableStore, condition: ConditionKeeper, reader: ResultReader) -> None:
        self._store = store
        self._condition = condition
        self._reader = reader
        self._whole: StoreCondition | None = None
        """How the store was when this worker last knew it to be whole; None: it was away since."""
        self._whole_at = float("inf")

    async def run(self) -> None:
        while True:
            try:
                await self.look()
            except StoreUnavailable:
                self._whole = None  # the store's own reader says so
            except ResultLogUnavailable as fault:
                self._whole = None
                logger.bind(fault=str(fault)).warning("results_not_restored")
            except Exception:
                self._whole = None
                logger.exception("result_restorer_crashed")
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        """Restore if the store changed, else say now and then that it is whole."""
        now = await self._condition.read()
        if self._whole is None or _is_another(now, self._whole):
            await self._restore(now)
        elif time.time() - self._whole_at > _MARK_SECONDS:
            await self._mark(now, time.time())

    async def _restore(self, now: StoreCondition) -> None:
        if not await self._condition.is_leading():
            return  # until the one who leads has finished or died
        since = max(0.0, min(now.whole_until, self._whole_at) - _MARGIN_SECONDS)
        started_at, count = time.time(), 0
        async for told in self._reader.read(since):
            await asyncio.gather(*(self._store.restore(run, result) for run, result in told))
            await self._condition.is_leading()
            count += len(told)
        await self._mark(now, started_at)
        seconds = round(time.time() - started_at, 3)
        logger.bind(results=count, since=round(since), seconds=seconds).info("results_restored")

    async def _mark(self, condition: StoreCondition, whole_at: float) -> None:
        await self._condition.mark_whole(condition, whole_at)
        self._whole, self._whole_at = condition, whole_at


def _is_another(now: StoreCondition, before: StoreCondition) -> bool:
    return (now.server_run, now.data_id) != (before.server_run, before.data_id)
