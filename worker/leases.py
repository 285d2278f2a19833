"""The leases of the runs in this process, renewed together."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from loguru import logger

from shared.background import in_background
from shared.domain.job import JobId
from shared.ports import JobRuns, Run, StoreUnavailable
from worker.metrics import LEASES_LOST

_RENEWALS_A_LEASE = 3
_LONGEST_PAUSE_SECONDS = 2.0  # a cancelled job is told with the next renewal
_RUNS_A_ROUND_TRIP = 100


class Leases:
    """What this process runs now."""

    def __init__(self, store: JobRuns, lease_seconds: float) -> None:
        self.lease_seconds = lease_seconds
        self._store = store
        self._holds: dict[JobId, Hold] = {}

    @contextmanager
    def hold(self, run: Run) -> Iterator["Hold"]:
        """Renew the lease of `run` until the block ends."""
        hold = self._holds[run.id] = Hold(run)
        try:
            yield hold
        finally:
            del self._holds[run.id]

    async def renew_forever(self) -> None:
        while True:
            await asyncio.sleep(min(self.lease_seconds / _RENEWALS_A_LEASE, _LONGEST_PAUSE_SECONDS))
            await self.renew()

    async def renew(self) -> None:
        """A round trip a portion, so that a thousand renewals do not hold up the calls between them.

        A lost lease is said; its run cannot store any more.
        """
        runs = [hold.run for hold in self._holds.values()]
        for start in range(0, len(runs), _RUNS_A_ROUND_TRIP):
            await self._renew(runs[start : start + _RUNS_A_ROUND_TRIP])

    async def _renew(self, runs: list[Run]) -> None:
        try:
            renewed = await self._store.renew(runs, self.lease_seconds)
        except StoreUnavailable as fault:
            logger.bind(fault=str(fault), runs=len(runs)).warning("leases_not_renewed")
            return
        for run in renewed.cancelled:
            if run.id in self._holds:  # it may have ended meanwhile
                self._holds[run.id].cancel()
        for run in renewed.lost:
            hold = self._holds.get(run.id)
            if hold is not None and not hold.is_lost:
                hold.is_lost = True
                LEASES_LOST.inc()
                logger.bind(**run.id._asdict()).warning("lease_lost")


class Hold:
    """A lease that is being renewed."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.is_cancelled = False
        self.is_lost = False
        self._timeout: asyncio.Timeout | None = None

    @asynccontextmanager
    async def until_cancelled(self, seconds: float) -> AsyncIterator[None]:
        """Cut the block off, with `TimeoutError`, after `seconds` or when the job is cancelled."""
        async with asyncio.timeout(seconds) as timeout:
            self._timeout = timeout
            try:
                yield
            finally:
                self._timeout = None

    def cancel(self) -> None:
        self.is_cancelled = True
        if self._timeout is not None:
            self._timeout.reschedule(asyncio.get_running_loop().time())


@asynccontextmanager
async def keep_leases(store: JobRuns, lease_seconds: float) -> AsyncIterator[Leases]:
    """Leases with their renewal running."""
    leases = Leases(store, lease_seconds)
    async with in_background(leases.renew_forever()):
        yield leases
