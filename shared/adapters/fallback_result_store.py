"""The durable store while it answers, the memory of this process while it does not.

When the durable store is back, what lives in memory is moved there: claims, leases and results.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from loguru import logger

from shared.adapters.memory_result_store import Entry, MemoryResultStore
from shared.background import in_background
from shared.domain.failed_job import FailedJob
from shared.domain.job import JobId
from shared.domain.result import Failed, Succeeded
from shared.ports import (
    Begun,
    Conflicting,
    Deleted,
    Finished,
    Held,
    Pending,
    Renewed,
    Reserved,
    ResultStore,
    ResultWatch,
    Run,
    StoreUnavailable,
)

_PROBE_SECONDS = 1.0
_MOVED_AT_ONCE = 100
_MOST_ENDED = 50_000

Answer = TypeVar("Answer")


@asynccontextmanager
async def fall_back_to_memory(
    durable: ResultStore, memory: MemoryResultStore
) -> AsyncIterator["FallbackResultStore"]:
    """A store that goes to memory when `durable` is away, and comes back when it is."""
    store = FallbackResultStore(durable, memory)
    await store.probe()
    async with in_background(store.probe_forever()):
        yield store


class FallbackResultStore:
    """`ResultStore` over two. A job that lives in memory stays there until it is moved."""

    def __init__(self, durable: ResultStore, memory: MemoryResultStore) -> None:
        self._durable = durable
        self._memory = memory
        self._degraded = asyncio.Event()
        self._healthy = asyncio.Event()
        self._healthy.set()
        self._ended: OrderedDict[JobId, None] = OrderedDict()
        """Ids that this process knows to have a result in the durable store, the latest last."""

    async def reserve(
        self, job_id: JobId, fingerprint: str, claim: str, expires_at: datetime
    ) -> Reserved | Pending | Finished | Conflicting | Deleted:
        return await self._route(job_id, lambda store: store.reserve(job_id, fingerprint, claim, expires_at))

    async def release(self, job_id: JobId, claim: str) -> None:
        await self._route(job_id, lambda store: store.release(job_id, claim))

    async def get(self, job_id: JobId) -> Pending | Finished | Deleted | None:
        return await self._route(job_id, lambda store: store.get(job_id))

    async def cancel(self, job_id: JobId) -> Pending | Finished | Deleted | None:
        return await self._route(job_id, lambda store: store.cancel(job_id))

    async def delete(self, job_id: JobId) -> Pending | Deleted | None:
        return await self._route(job_id, lambda store: store.delete(job_id))

    @contextmanager
    def _watch(self, job_id: JobId) -> Iterator["_EitherWatch"]:
        with self._durable.watch(job_id) as durable, self._memory.watch(job_id) as memory:
            yield _EitherWatch(durable, memory)

    def watch(self, job_id: JobId) -> AbstractContextManager[ResultWatch]:
        return self._watch(job_id)

    async def begin(
        self,
        run: Run,
        lease_seconds: float,
        expires_at: datetime,
        *,
        asked_at: datetime | None = None,
        needs_history: bool = False,
    ) -> Begun | Held | Finished | Conflicting | Deleted:
        def begin_in(store: ResultStore) -> Awaitable[Begun | Held | Finished | Conflicting | Deleted]:
            if needs_history and store is self._memory and not self._memory.knows(run.id):
                raise StoreUnavailable("it is away, and may know of an earlier run")
            return self._begin_in(store, run, lease_seconds, expires_at, asked_at)

        begun = await self._route(run.id, begin_in)
        if isinstance(begun, Begun) and self._memory.knows(run.id):
            return replace(begun, knows_history=False)
        if isinstance(begun, Finished):
            self._note_ended(run.id)
        return begun

    async def _begin_in(
        self,
        store: ResultStore,
        run: Run,
        lease_seconds: float,
        expires_at: datetime,
        asked_at: datetime | None,
    ) -> Begun | Held | Finished | Conflicting | Deleted:
        if store is self._memory and run.id in self._ended and not self._memory.knows(run.id):
            return Held(_PROBE_SECONDS)  # its result is where nobody can read it now
        return await store.begin(run, lease_seconds, expires_at, asked_at=asked_at)

    async def renew(self, runs: Sequence[Run], lease_seconds: float) -> Renewed:
        here = [run for run in runs if self._memory.knows(run.id)]
        there = [run for run in runs if not self._memory.knows(run.id)]
        renewed = await self._memory.renew(here, lease_seconds)
        if not there or self._degraded.is_set():
            return renewed
        try:
            more = await self._durable.renew(there, lease_seconds)
        except StoreUnavailable as fault:
            self._degrade(fault)
            return renewed
        return Renewed([*renewed.lost, *more.lost], [*renewed.cancelled, *more.cancelled])

    async def save(self, run: Run, result: Succeeded | Failed) -> Succeeded | Failed | None:
        stored = await self._route(run.id, lambda store: store.save(run, result))
        if stored is not None:
            self._note_ended(run.id)
        return stored

    def _note_ended(self, job_id: JobId) -> None:
        self._ended[job_id] = None
        if len(self._ended) > _MOST_ENDED:
            self._ended.popitem(last=False)

    async def restore(self, run: Run, result: Succeeded | Failed) -> Succeeded | Failed | None:
        return await self._route(run.id, lambda store: store.restore(run, result))

    async def totals(self) -> Mapping[str, int]:
        if not self._degraded.is_set():
            with suppress(StoreUnavailable):
                return await self._durable.totals()
        return await self._memory.totals()

    async def slices(self, starts: Sequence[int]) -> Sequence[Mapping[str, int]]:
        if not self._degraded.is_set():
            with suppress(StoreUnavailable):
                return await self._durable.slices(starts)
        return await self._memory.slices(starts)

    async def count(self, amounts: Mapping[str, int]) -> None:
        if self._degraded.is_set():
            raise StoreUnavailable("it is away")
        await self._durable.count(amounts)

    async def failures(self, owner: str) -> Sequence[FailedJob]:
        if not self._degraded.is_set():
            with suppress(StoreUnavailable):
                return await self._durable.failures(owner)
        return await self._memory.failures(owner)

    async def is_available(self) -> bool:
        """False while degraded: answers come, but they will not outlive the process."""
        return not self._degraded.is_set()

    async def until_degraded(self) -> None:
        """Return when, or as soon as, the durable store is away."""
        await self._degraded.wait()

    async def until_healthy(self) -> None:
        """Return when the durable store is back and holds what lived in memory."""
        await self._healthy.wait()

    async def probe_forever(self) -> None:
        while True:
            await asyncio.sleep(_PROBE_SECONDS)
            try:
                await self.probe()
            except Exception:
                logger.exception("result_store_probe_crashed")

    async def probe(self) -> None:
        """Learn whether the durable store answers; if it is back, move there what lives here."""
        if not await self._durable.is_available():
            self._degrade(StoreUnavailable("it does not answer"))
            return
        if not self._degraded.is_set():
            return
        # Whoever comes from now on is served there; a job that lives here, here, until it is moved.
        self._degraded.clear()
        try:
            await self._move()
        except StoreUnavailable as fault:
            self._degrade(fault)
            return
        if not self._degraded.is_set():  # it may have gone again meanwhile
            self._healthy.set()
            logger.info("result_store_recovered")

    async def _move(self) -> None:
        entries = self._memory.entries()
        for start in range(0, len(entries), _MOVED_AT_ONCE):
            await asyncio.gather(
                *(self._move_entry(*entry) for entry in entries[start : start + _MOVED_AT_ONCE])
            )

    async def _move_entry(self, job_id: JobId, entry: Entry) -> None:
        if await self._is_moved(job_id, entry):
            await self._hand_over(job_id, entry)

    async def _is_moved(self, job_id: JobId, entry: Entry) -> bool:
        """A conflict stays here, where its caller waits."""
        if entry.is_deleted:
            return isinstance(await self._durable.delete(job_id), Deleted)
        is_moved = entry.result is None and await self._is_pending_moved(job_id, entry)
        if entry.result is None:
            return is_moved
        # It may have come in meanwhile.
        run = Run(job_id, entry.token, entry.fingerprint)
        return await self._durable.restore(run, entry.result) is not None

    async def _hand_over(self, job_id: JobId, entry: Entry) -> None:
        now = self._memory.entry(job_id)
        if now is None:  # given back meanwhile
            await self._durable.release(job_id, entry.claim)
        elif now is not entry:  # deleted, or reserved again
            await self._move_entry(job_id, now)
        else:
            self._memory.forget(job_id)
            if entry.result is None:
                await self._durable.get(job_id)  # arms the watches of those who wait for it

    async def _is_pending_moved(self, job_id: JobId, entry: Entry) -> bool:
        expires_at = datetime.fromtimestamp(entry.forgotten_at, UTC) - self._memory.retention
        known: object = None
        if entry.claim:
            known = await self._durable.reserve(job_id, entry.fingerprint, entry.claim, expires_at)
        if entry.status == "running" and not isinstance(known, Conflicting):
            run = Run(job_id, entry.token, entry.fingerprint)
            lease_seconds = max(1.0, entry.lease_ends_at - time.time())
            known = await self._durable.begin(run, lease_seconds, expires_at, asked_at=entry.asked_at)
        is_moved = isinstance(known, Reserved | Pending | Begun | Finished)
        if is_moved and entry.is_cancelled:
            await self._durable.cancel(job_id)
        return is_moved

    async def _route(self, job_id: JobId, call: Callable[[ResultStore], Awaitable[Answer]]) -> Answer:
        if not self._degraded.is_set() and not self._memory.knows(job_id):
            try:
                return await call(self._durable)
            except StoreUnavailable as fault:
                self._degrade(fault)
        return await call(self._memory)

    def _degrade(self, fault: StoreUnavailable) -> None:
        if not self._degraded.is_set():
            self._healthy.clear()
            self._degraded.set()
            logger.bind(fault=str(fault)).warning("result_store_degraded")


class _EitherWatch:
    """Resolved by whichever store gets the result first."""

    def __init__(self, *watches: ResultWatch) -> None:
        self._watches = watches

    async def result(self) -> Succeeded | Failed:
        first: asyncio.Future[Succeeded | Failed] = asyncio.get_running_loop().create_future()
        self.when_known(lambda result: None if first.done() else first.set_result(result))
        return await first

    def when_known(self, tell: Callable[[Succeeded | Failed], None]) -> None:
        for watch in self._watches:
            watch.when_known(tell)
