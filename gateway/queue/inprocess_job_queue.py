"""Jobs in the memory of one process. Nothing outlives it, and `/health` says so."""

import asyncio

from gateway.ports import QueueUnavailable
from shared.domain.job import Job

_MOST_WAITING = 10_000


class InProcessJobQueue:
    """`JobQueue` for one process; full is full."""

    def __init__(self, most_waiting: int = _MOST_WAITING) -> None:
        self._jobs: asyncio.Queue[Job] = asyncio.Queue(most_waiting)

    async def enqueue(self, job: Job) -> None:
        try:
            self._jobs.put_nowait(job)
        except asyncio.QueueFull:
            raise QueueUnavailable(f"{self._jobs.maxsize} jobs are waiting already", is_full=True) from None

    async def is_available(self) -> bool:
        return not self._jobs.full()

    async def next(self) -> Job:
        """The job that has waited longest."""
        return await self._jobs.get()

    def __len__(self) -> int:
        return self._jobs.qsize()
