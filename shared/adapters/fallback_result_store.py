"""Redis while it answers, memory while it does not: for one process, where no other could disagree."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from datetime import datetime
from typing import TypeVar

from loguru import logger

from shared.adapters.memory_result_store import MemoryResultStore
from shared.domain.job import JobId
from shared.domain.result import Failed, Succeeded
from shared.ports import (
    Begun,
    Conflicting,
    Finished,
    Held,
    Pending,
    Reserved,
    ResultStore,
    ResultWatch,
    Run,
    StoreUnavailable,
)

_PROBE_SECONDS = 1.0

Answer = TypeVar("Answer")


@asynccontextmanager
async def fall_back_to_memory(
    durable: ResultStore, memory: MemoryResultStore
) -> AsyncIterator["FallbackResultStore"]:
    """A store that goes to memory when `durable` is away, and comes back when it is."""
    store = FallbackResultStore(durable, memory)
    await store.probe()
    task = asyncio.create_task(store.probe_forever())
    try:
        yield store
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class FallbackResultStore:
    """`ResultStore` over two. A job that lives in memory stays there to its end."""

    def __init__(self, durable: ResultStore, memory: MemoryResultStore) -> None:
        self._durable = durable
        self._memory = memory
        self._is_degraded = False

    async def reserve(
        self, job_id: JobId, fingerprint: str, claim: str, expires_at: datetime
    ) -> Reserved | Pending | Finished | Conflicting:
        return await self._route(job_id, lambda store: store.reserve(job_id, fingerprint, claim, expires_at))

    async def release(self, job_id: JobId, claim: str) -> None:
        await self._route(job_id, lambda store: store.release(job_id, claim))

    async def get(self, job_id: JobId) -> Pending | Finished | None:
        return await self._route(job_id, lambda store: store.get(job_id))

    @contextmanager
    def _watch(self, job_id: JobId) -> Iterator["_EitherWatch"]:
        with self._durable.watch(job_id) as durable, self._memory.watch(job_id) as memory:
            yield _EitherWatch(durable, memory)

    def watch(self, job_id: JobId) -> AbstractContextManager[ResultWatch]:
        return self._watch(job_id)

    async def begin(
        self, run: Run, lease_seconds: float, expires_at: datetime
    ) -> Begun | Held | Finished | Conflicting:
        return await self._route(run.id, lambda store: store.begin(run, lease_seconds, expires_at))

    async def renew(self, runs: Sequence[Run], lease_seconds: float) -> list[Run]:
        here = [run for run in runs if self._memory.knows(run.id)]
        lost = await self._memory.renew(here, lease_seconds)
        there = [run for run in runs if run not in here]
        if there and not self._is_degraded:
            try:
                lost += await self._durable.renew(there, lease_seconds)
            except StoreUnavailable:
                self._set_degraded(True)
        return lost

    async def save(self, run: Run, result: Succeeded | Failed) -> Succeeded | Failed | None:
        return await self._route(run.id, lambda store: store.save(run, result))

    async def is_available(self) -> bool:
        """False while degraded: answers come, but they will not outlive the process."""
        return not self._is_degraded

    async def probe_forever(self) -> None:
        while True:
            await asyncio.sleep(_PROBE_SECONDS)
            await self.probe()

    async def probe(self) -> None:
        """Learn whether the durable store answers."""
        self._set_degraded(not await self._durable.is_available())

    async def _route(self, job_id: JobId, call: Callable[[ResultStore], Awaitable[Answer]]) -> Answer:
        if not self._is_degraded and not self._memory.knows(job_id):
            try:
                return await call(self._durable)
            except StoreUnavailable:
                self._set_degraded(True)
        return await call(self._memory)

    def _set_degraded(self, is_degraded: bool) -> None:
        if is_degraded != self._is_degraded:
            self._is_degraded = is_degraded
            logger.warning("result_store_degraded" if is_degraded else "result_store_recovered")


class _EitherWatch:
    """Resolved by whichever store gets the result."""

    def __init__(self, *watches: ResultWatch) -> None:
        self._watches = watches

    async def result(self) -> Succeeded | Failed:
        waits = [asyncio.ensure_future(watch.result()) for watch in self._watches]
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for wait in waits:
                wait.cancel()
