"""Who in this process follows which answer while it is written."""

import asyncio
from contextlib import AbstractContextManager

from shared.adapters.by_job import ByJob
from shared.domain.job import JobId

STREAM_KEPT_SECONDS = 600.0
"""After the last piece."""
MOST_PIECES_AT_ONCE = 500


class StreamFollowers:
    """All followers of a process, by job."""

    def __init__(self) -> None:
        self._events: ByJob[asyncio.Event] = ByJob()

    def open(self, job_id: JobId) -> AbstractContextManager[asyncio.Event]:
        return self._events.open(job_id, asyncio.Event)

    def wake(self, job_id: JobId) -> None:
        for event in self._events.of(job_id):
            event.set()
