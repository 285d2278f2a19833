"""The leases of the runs in this process, renewed together."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from loguru import logger

from shared.domain.job import JobId
from shared.ports import JobRuns, Run, StoreUnavailable

_RENEWALS_A_LEASE = 3
_RUNS_A_ROUND_TRIP = 100


class Leases:
    """What this process runs now."""

    def __init__(self, store: JobRuns, lease_seconds: float) -> None:
        self.lease_seconds = lease_seconds
        self._store = store
        self._runs: dict[JobId, Run] = {}

    @contextmanager
    def hold(self, run: Run) -> Iterator[None]:
        """Renew the lease of `run` until the block ends."""
        self._runs[run.id] = run
        try:
            yield
        finally:
            del self._runs[run.id]

    async def renew_forever(self) -> None:
        while True:
            await asyncio.sleep(self.lease_seconds / _RENEWALS_A_LEASE)
            await self.renew()

    async def renew(self) -> None:
        """A round trip a portion, so that a thousand renewals do not hold up the calls between them.

        A lost lease is said; its run cannot store any more.
        """
        runs = list(self._runs.values())
        for start in range(0, len(runs), _RUNS_A_ROUND_TRIP):
            await self._renew(runs[start : start + _RUNS_A_ROUND_TRIP])

    async def _renew(self, runs: list[Run]) -> None:
        try:
            lost = await self._store.renew(runs, self.lease_seconds)
        except StoreUnavailable as fault:
            logger.bind(fault=str(fault), runs=len(runs)).warning("leases_not_renewed")
            return
        for run in lost:
            if run.id in self._runs:  # it may have ended meanwhile
                logger.bind(request_id=run.id.request_id).warning("lease_lost")


@asynccontextmanager
async def keep_leases(store: JobRuns, lease_seconds: float) -> AsyncIterator[Leases]:
    """Leases with their renewal running."""
    leases = Leases(store, lease_seconds)
    task = asyncio.create_task(leases.renew_forever())
    try:
        yield leases
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
