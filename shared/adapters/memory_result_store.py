"""The result store of one process without Redis. Nothing outlives the process."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from shared.adapters.result_watches import ResultWatches, Watch
from shared.domain.job import JobId
from shared.domain.result import Failed, Succeeded, may_run_again
from shared.ports import Begun, Conflicting, Finished, Held, Pending, Reserved, Run

_MOST_JOBS = 100_000
_ENDED = "ended"  # no run has this token: the one that failed cannot store its failure again


@dataclass(slots=True)
class _Entry:
    fingerprint: str
    claim: str
    forgotten_at: float
    status: Literal["queued", "running"] = "queued"
    token: str = ""
    lease_ends_at: float = 0.0
    interrupted_runs: int = 0
    attempts: int = 0
    result: Succeeded | Failed | None = None


class MemoryResultStore:
    """`ResultStore` in a dict; the oldest finished jobs go when there are too many."""

    def __init__(
        self, retention: timedelta, *, most_jobs: int = _MOST_JOBS, clock: Callable[[], float] = time.time
    ) -> None:
        self._retention_seconds = retention.total_seconds()
        self._most_jobs = most_jobs
        self._clock = clock
        self._entries: dict[JobId, _Entry] = {}
        self._watches = ResultWatches()

    async def reserve(
        self, job_id: JobId, fingerprint: str, claim: str, expires_at: datetime
    ) -> Reserved | Pending | Finished | Conflicting:
        entry = self._live_entry(job_id)
        if entry is None:
            self._make_room()
            self._entries[job_id] = _Entry(fingerprint, claim, self._forgotten_at(expires_at))
            return Reserved()
        if entry.fingerprint != fingerprint:
            return Conflicting()
        if entry.result is not None:
            if not may_run_again(entry.result):
                return Finished(entry.result)
            self._entries[job_id] = _Entry(
                fingerprint,
                claim,
                self._forgotten_at(expires_at),
                token=_ENDED,
                attempts=entry.attempts,
            )
            return Reserved()
        if entry.claim == claim and entry.status == "queued":
            return Reserved()
        return _pending(entry)

    async def release(self, job_id: JobId, claim: str) -> None:
        entry = self._entries.get(job_id)
        if entry is not None and entry.claim == claim and entry.status == "queued" and entry.result is None:
            del self._entries[job_id]

    async def get(self, job_id: JobId) -> Pending | Finished | None:
        entry = self._live_entry(job_id)
        if entry is None:
            return None
        return Finished(entry.result) if entry.result is not None else _pending(entry)

    def watch(self, job_id: JobId) -> AbstractContextManager[Watch]:
        return self._watches.open(job_id)

    async def begin(
        self, run: Run, lease_seconds: float, expires_at: datetime
    ) -> Begun | Held | Finished | Conflicting:
        entry = self._live_entry(run.id)
        if entry is None:
            self._make_room()
            entry = self._entries[run.id] = _Entry(run.fingerprint, "", self._forgotten_at(expires_at))
        if entry.fingerprint != run.fingerprint:
            return Conflicting()
        if entry.result is not None:
            return Finished(entry.result)
        if entry.token != run.token:
            now = self._clock()
            if entry.lease_ends_at > now:
                return Held(entry.lease_ends_at - now)
            entry.interrupted_runs += entry.status == "running"
            entry.status, entry.token = "running", run.token
            entry.forgotten_at = self._forgotten_at(expires_at)
        entry.lease_ends_at = self._clock() + lease_seconds
        return Begun(run, entry.interrupted_runs, entry.attempts)

    async def renew(self, runs: Sequence[Run], lease_seconds: float) -> list[Run]:
        lost = []
        for run in runs:
            entry = self._entries.get(run.id)
            if entry is not None and entry.token not in ("", run.token):
                lost.append(run)
            elif entry is not None and entry.token:
                entry.lease_ends_at = self._clock() + lease_seconds
        return lost

    async def save(self, run: Run, result: Succeeded | Failed) -> Succeeded | Failed | None:
        entry = self._live_entry(run.id)
        if entry is None:
            self._make_room()
            entry = self._entries[run.id] = _Entry(run.fingerprint, "", 0.0, token=run.token)
        # No token: nobody here began the run, and whoever brings a result is the first writer.
        if entry.fingerprint != run.fingerprint or (not entry.result and entry.token not in ("", run.token)):
            return None
        if entry.result is not None:
            return entry.result
        entry.result = result
        entry.attempts = result.attempts
        entry.forgotten_at = self._clock() + self._retention_seconds
        # Last in the order of the dict: what finished first is forgotten first.
        self._entries[run.id] = self._entries.pop(run.id)
        self._watches.resolve(run.id, result)
        return result

    async def is_available(self) -> bool:
        return True

    def knows(self, job_id: JobId) -> bool:
        """Whether the id lives here."""
        return self._live_entry(job_id) is not None

    def _live_entry(self, job_id: JobId) -> _Entry | None:
        entry = self._entries.get(job_id)
        if entry is not None and entry.forgotten_at <= self._clock():
            del self._entries[job_id]
            return None
        return entry

    def _make_room(self) -> None:
        if len(self._entries) < self._most_jobs:
            return
        now = self._clock()
        forgotten = [job_id for job_id, entry in self._entries.items() if entry.forgotten_at <= now]
        finished = [job_id for job_id, entry in self._entries.items() if entry.result is not None]
        # A tenth at once, so that a full store does not search on every job.
        for job_id in dict.fromkeys([*forgotten, *finished[: self._most_jobs // 10 + 1]]):
            del self._entries[job_id]

    def _forgotten_at(self, expires_at: datetime) -> float:
        return expires_at.timestamp() + self._retention_seconds


def _pending(entry: _Entry) -> Pending:
    return Pending(entry.status, datetime.fromtimestamp(entry.forgotten_at, UTC))
