"""Jobs in the memory of one process. Nothing outlives it, and `/health` says so."""

import asyncio

from gateway.ports import QueueUnavailable
from shared.domain.job import Job
from shared.domain.priority import DEFAULT_WEIGHTS, Priority, Weights, parse_weights
from shared.domain.weighted_queue import WeightedQueue

_MOST_WAITING = 10_000


class InProcessJobQueue:
    """`JobQueue` for one process, with a lane a priority; full is full, each lane for itself."""

    def __init__(self, most_waiting: int = _MOST_WAITING, weights: Weights | None = None) -> None:
        self._jobs: WeightedQueue[Job] = WeightedQueue(weights or parse_weights(DEFAULT_WEIGHTS))
        self._most_waiting = most_waiting
        self._waiting = asyncio.Semaphore(0)

    async def enqueue(self, job: Job) -> None:
        if self._jobs.waiting(job.priority) >= self._most_waiting:
            raise QueueUnavailable(f"{self._most_waiting} jobs are waiting already", is_full=True)
        self._jobs.put(job.priority, job)
        self._waiting.release()

    async def is_available(self) -> bool:
        return self._jobs.waiting("normal") < self._most_waiting

    async def next(self) -> Job:
        """Of the lane whose turn it is, the job that has waited longest."""
        await self._waiting.acquire()
        return self._jobs.take()

    def waiting(self, priority: Priority) -> int:
        return self._jobs.waiting(priority)

    def __len__(self) -> int:
        return len(self._jobs)
