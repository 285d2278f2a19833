"""The worker of one process: jobs from memory, through the same processor."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from loguru import logger

from shared.background import in_background
from shared.domain.job import Job
from worker.service import LookAgain, Outcome, Processor
from worker.slots import Slots

NextJob = Callable[[], Awaitable[Job]]


@asynccontextmanager
async def work_in_process(
    next_job: NextJob, processor: Processor, *, slots: Slots, window_jobs: int, drain_seconds: float
) -> AsyncIterator[Callable[[], int]]:
    """Process jobs while the block runs, which can ask how many are held; then let the running ones end."""
    worker = _InProcessWorker(next_job, processor, slots, window_jobs)
    try:
        async with in_background(worker.run()):
            yield lambda: worker.held
    finally:
        await worker.drain(drain_seconds)


class _InProcessWorker:
    def __init__(self, next_job: NextJob, processor: Processor, slots: Slots, window_jobs: int) -> None:
        self._next_job = next_job
        self._processor = processor
        self._slots = slots
        self._room = asyncio.Semaphore(window_jobs)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def held(self) -> int:
        """Jobs that are out of the queue, running or waiting."""
        return len(self._tasks)

    async def run(self) -> None:
        while True:
            await self._room.acquire()
            job = await self._next_job()
            task = asyncio.create_task(self._process(job))
            self._tasks.add(task)
            task.add_done_callback(self._end)

    async def drain(self, seconds: float) -> None:
        if not self._tasks:
            return
        _, running = await asyncio.wait(set(self._tasks), timeout=seconds)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if running:
            logger.bind(jobs=len(running)).warning("jobs_cut_off")

    async def _process(self, job: Job) -> None:
        outcome = await self._process_in_slot(job)
        while isinstance(outcome, LookAgain):
            await asyncio.sleep(outcome.seconds)
            outcome = await self._process_in_slot(job)

    async def _process_in_slot(self, job: Job) -> Outcome:
        await self._slots.acquire(job.priority)
        try:
            return await self._processor.process(job)
        finally:
            self._slots.release()

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._room.release()
        if not task.cancelled() and (fault := task.exception()) is not None:
            logger.opt(exception=fault).error("job_crashed")
