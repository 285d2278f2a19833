"""Who in this process waits for which result."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager

from shared.adapters.by_job import ByJob
from shared.domain.job import JobId
from shared.domain.result import Failed, Succeeded


class Watch:
    """One wait; `ResultWatch` of the ports."""

    def __init__(self) -> None:
        self.is_armed = False
        self._result: asyncio.Future[Succeeded | Failed] = asyncio.get_running_loop().create_future()

    def resolve(self, result: Succeeded | Failed) -> None:
        if not self._result.done():
            self._result.set_result(result)

    async def result(self) -> Succeeded | Failed:
        return await asyncio.shield(self._result)

    def when_known(self, tell: Callable[[Succeeded | Failed], None]) -> None:
        self._result.add_done_callback(lambda known: tell(known.result()))


class ResultWatches:
    """All waits of a process, by job."""

    def __init__(self) -> None:
        self._watches: ByJob[Watch] = ByJob()

    def open(self, job_id: JobId) -> AbstractContextManager[Watch]:
        return self._watches.open(job_id, Watch)

    def resolve(self, job_id: JobId, result: Succeeded | Failed) -> None:
        for watch in self._watches.of(job_id):
            watch.resolve(result)

    def arm(self, job_id: JobId) -> None:
        """The store has been asked since the watches were opened: what it stores from now on is for them."""
        for watch in self._watches.of(job_id):
            watch.is_armed = True

    def armed(self) -> list[tuple[JobId, Watch]]:
        """The watches that a result stored by now is for."""
        return [(job_id, watch) for job_id, watch in self._watches.all() if watch.is_armed]

    def __contains__(self, job_id: JobId) -> bool:
        return job_id in self._watches
