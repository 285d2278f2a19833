"""Who in this process follows which answer while it is written."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from shared.domain.job import JobId

STREAM_KEPT_SECONDS = 600.0
"""After the last piece."""
MOST_PIECES_AT_ONCE = 500


class StreamFollowers:
    """All followers of a process, by job."""

    def __init__(self) -> None:
        self._events: dict[JobId, list[asyncio.Event]] = {}

    @contextmanager
    def open(self, job_id: JobId) -> Iterator[asyncio.Event]:
        event = asyncio.Event()
        events = self._events.setdefault(job_id, [])
        events.append(event)
        try:
            yield event
        finally:
            events.remove(event)
            if not events and self._events.get(job_id) is events:
                del self._events[job_id]

    def wake(self, job_id: JobId) -> None:
        for event in self._events.get(job_id, ()):
            event.set()
