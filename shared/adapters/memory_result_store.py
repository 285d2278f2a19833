"""The result store of one process without Redis. Nothing outlives the process."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, Self

from shared.adapters.memory_failures import MemoryFailures
from shared.adapters.memory_sums import MemorySums
from shared.adapters.result_watches import ResultWatches, Watch
from shared.domain.failed_job import FailedJob
from shared.domain.job import JobId
from shared.domain.result import Failed, Succeeded, is_asked_anew, may_run_again
from shared.domain.totals import PROVIDER_CALLS, tally
from shared.ports import (
    Begun,
    Conflicting,
    Deleted,
    Finished,
    Held,
    Pending,
    Renewed,
    Reserved,
    Run,
)

_MOST_JOBS = 100_000
_ENDED = "ended"  # no run has this token: the one that failed cannot store its failure again


@dataclass(slots=True)
class Entry:
    """What is known of one id."""

    fingerprint: str
    claim: str
    forgotten_at: float
    status: Literal["queued", "running"] = "queued"
    token: str = ""
    lease_ends_at: float = 0.0
    interrupted_runs: int = 0
    attempts: int = 0
    asked_at: datetime | None = None
    """When whoever runs it was asked to."""
    is_cancelled: bool = False
    is_deleted: bool = False
    result: Succeeded | Failed | None = None
    gone_until: float = 0.0
    """Until when it is told, after the retention, that there was a result."""
    before: Self | None = None
    """The failure that a claim replaced, until the next run begins."""


class MemoryResultStore:
    """`ResultStore` in a dict; the oldest finished jobs go when there are too many."""

    def __init__(
        self, retention: timedelta, *, most_jobs: int = _MOST_JOBS, clock: Callable[[], float] = time.time
    ) -> None:
        self.retention = retention
        self._retention_seconds = retention.total_seconds()
        self._most_jobs = most_jobs
        self._clock = clock
        self._entries: dict[JobId, Entry] = {}
        self._gone_until: dict[JobId, float] = {}
        self._watches = ResultWatches()
        self._sums = MemorySums(clock)
        self._failures = MemoryFailures()

    async def reserve(
        self, job_id: JobId, fingerprint: str, claim: str, expires_at: datetime
    ) -> Reserved | Pending | Finished | Conflicting | Deleted:
        entry = self._live_entry(job_id)
        if entry is None:
            self._add(job_id, Entry(fingerprint, claim, self._forgotten_at(expires_at)))
            return Reserved()
        if entry.fingerprint != fingerprint:
            return Conflicting()
        if entry.result is not None and may_run_again(entry.result):
            self._again(job_id, entry, claim, expires_at).before = entry
            return Reserved()
        if (
            entry.claim == claim
            and entry.status == "queued"
            and entry.result is None
            and not entry.is_deleted
        ):
            return Reserved()
        return _known(entry)

    async def release(self, job_id: JobId, claim: str) -> None:
        entry = self._entries.get(job_id)
        if entry is not None and entry.claim == claim and entry.status == "queued" and entry.result is None:
            self._give_back(job_id, entry)

    async def get(self, job_id: JobId) -> Pending | Finished | Deleted | None:
        entry = self._live_entry(job_id)
        return _known(entry) if entry is not None else self._gone(job_id)

    async def cancel(self, job_id: JobId) -> Pending | Finished | Deleted | None:
        entry = self._live_entry(job_id)
        if entry is not None and entry.result is None:
            entry.is_cancelled = True
        return _known(entry) if entry is not None else self._gone(job_id)

    async def delete(self, job_id: JobId) -> Pending | Deleted | None:
        entry = self._live_entry(job_id)
        if entry is None:
            return self._gone(job_id)
        known = _known(entry)
        if not isinstance(known, Finished):
            return known
        forgotten_at = self._clock() + self._retention_seconds
        tombstone = Entry(entry.fingerprint, "", forgotten_at, is_deleted=True, gone_until=entry.gone_until)
        self._entries[job_id] = tombstone
        return Deleted()

    def watch(self, job_id: JobId) -> AbstractContextManager[Watch]:
        return self._watches.open(job_id)

    async def begin(
        self,
        run: Run,
        lease_seconds: float,
        expires_at: datetime,
        *,
        asked_at: datetime | None = None,
        needs_history: bool = False,
    ) -> Begun | Held | Finished | Conflicting | Deleted:
        entry = self._live_entry(run.id)
        if entry is None:
            entry = self._add(run.id, Entry(run.fingerprint, "", self._forgotten_at(expires_at)))
        if entry.fingerprint != run.fingerprint:
            return Conflicting()
        if entry.is_deleted:
            return Deleted()
        if entry.result is not None:
            if not is_asked_anew(entry.result, asked_at):
                return Finished(entry.result)
            entry = self._again(run.id, entry, "", expires_at)
        if entry.token != run.token:
            now = self._clock()
            if entry.lease_ends_at > now:
                return Held(entry.lease_ends_at - now)
            entry.interrupted_runs += entry.status == "running"
            entry.status, entry.token, entry.asked_at = "running", run.token, asked_at
            entry.forgotten_at, entry.before = self._forgotten_at(expires_at), None
        entry.lease_ends_at = self._clock() + lease_seconds
        return Begun(run, entry.interrupted_runs, entry.attempts, entry.is_cancelled)

    async def renew(self, runs: Sequence[Run], lease_seconds: float) -> Renewed:
        known = [(run, entry) for run in runs if (entry := self._live_entry(run.id)) is not None]
        ours = [(run, entry) for run, entry in known if entry.token and entry.token == run.token]
        for _, entry in ours:
            entry.lease_ends_at = self._clock() + lease_seconds
        return Renewed(
            lost=[run for run, entry in known if entry.token not in ("", run.token)],
            cancelled=[run for run, entry in ours if entry.is_cancelled],
        )

    async def save(self, run: Run, result: Succeeded | Failed) -> Succeeded | Failed | None:
        return self._store(run, result, self._clock() + self._retention_seconds, is_copy=False)

    async def restore(self, run: Run, result: Succeeded | Failed) -> Succeeded | Failed | None:
        forgotten_at = self._forgotten_at(result.completed_at)
        return self._store(run, result, forgotten_at, is_copy=True) if forgotten_at > self._clock() else None

    async def totals(self) -> Mapping[str, int]:
        return self._sums.totals()

    async def slices(self, starts: Sequence[int]) -> Sequence[Mapping[str, int]]:
        return self._sums.slices(starts)

    async def count(self, amounts: Mapping[str, int]) -> None:
        self._sums.add(amounts, datetime.now(UTC))

    async def failures(self, owner: str) -> Sequence[FailedJob]:
        return self._failures.of(owner)

    def count_miss(self) -> None:
        """The response cache had no answer."""
        self._sums.add({"cache_misses": 1}, datetime.now(UTC))

    async def is_available(self) -> bool:
        return True

    def knows(self, job_id: JobId) -> bool:
        """Whether the id lives here."""
        return self._live_entry(job_id) is not None

    def entries(self) -> list[tuple[JobId, Entry]]:
        """Everything that lives here."""
        return list(self._entries.items())

    def entry(self, job_id: JobId) -> Entry | None:
        """What is known of the id now."""
        return self._live_entry(job_id)

    def forget(self, job_id: JobId) -> None:
        """The id lives elsewhere from now on."""
        self._entries.pop(job_id, None)

    def _store(
        self, run: Run, result: Succeeded | Failed, forgotten_at: float, *, is_copy: bool
    ) -> Succeeded | Failed | None:
        entry = self._live_entry(run.id)
        if entry is None:
            entry = self._add(run.id, Entry(run.fingerprint, "", 0.0))
        if entry.is_deleted or entry.fingerprint != run.fingerprint:
            return None
        is_final_copy = is_copy and not may_run_again(result)
        # A final copy over a failure that may pass is the result of the run after that failure.
        if entry.result is not None and not (is_final_copy and may_run_again(entry.result)):
            return entry.result
        # No token: nobody here began the run, and whoever brings a result is the first writer.
        if entry.token not in ("", run.token) and not is_final_copy:
            return None
        self._count(result, entry.attempts)
        if isinstance(result, Failed):
            self._failures.add(run.id.owner, result)
        entry.result, entry.attempts, entry.token = result, result.attempts, run.token
        entry.forgotten_at, entry.is_cancelled, entry.before = forgotten_at, False, None
        entry.gone_until = forgotten_at + self._retention_seconds
        # Last in the order of the dict: what finished first is forgotten first.
        self._entries[run.id] = self._entries.pop(run.id)
        self._watches.resolve(run.id, result)
        return result

    def _again(self, job_id: JobId, ended: Entry, claim: str, expires_at: datetime) -> Entry:
        """The id of a failure that may pass, free to run."""
        forgotten_at = self._forgotten_at(expires_at)
        again = Entry(ended.fingerprint, claim, forgotten_at, token=_ENDED, attempts=ended.attempts)
        again.gone_until = ended.gone_until
        self._entries[job_id] = again
        return again

    def _count(self, result: Succeeded | Failed, attempts_before: int) -> None:
        # A run that could not know of those before it tells fewer calls than they made.
        calls = max(0, result.attempts - attempts_before)
        self._sums.add({**tally(result), PROVIDER_CALLS: calls}, result.completed_at)

    def _add(self, job_id: JobId, entry: Entry) -> Entry:
        self._make_room()
        self._entries[job_id] = entry
        return entry

    def _live_entry(self, job_id: JobId) -> Entry | None:
        entry = self._entries.get(job_id)
        if entry is not None and entry.forgotten_at <= self._clock():
            self._end(job_id, entry)
            return None
        return entry

    def _give_back(self, job_id: JobId, entry: Entry) -> None:
        if entry.before is not None:
            self._entries[job_id] = entry.before
        else:
            self._end(job_id, entry)

    def _end(self, job_id: JobId, entry: Entry) -> None:
        """Its time is over; that there was a result is known as long again."""
        del self._entries[job_id]
        if entry.gone_until:
            self._gone_until[job_id] = entry.gone_until
            if len(self._gone_until) > self._most_jobs:
                del self._gone_until[next(iter(self._gone_until))]

    def _gone(self, job_id: JobId) -> Deleted | None:
        return Deleted() if self._gone_until.get(job_id, 0.0) > self._clock() else None

    def _make_room(self) -> None:
        if len(self._entries) < self._most_jobs:
            return
        now = self._clock()
        forgotten = [job_id for job_id, entry in self._entries.items() if entry.forgotten_at <= now]
        finished = [job_id for job_id, entry in self._entries.items() if entry.result or entry.is_deleted]
        # A tenth at once, so that a full store does not search on every job.
        for job_id in dict.fromkeys([*forgotten, *finished[: self._most_jobs // 10 + 1]]):
            self._end(job_id, self._entries[job_id])

    def _forgotten_at(self, expires_at: datetime) -> float:
        return expires_at.timestamp() + self._retention_seconds


def _known(entry: Entry) -> Pending | Finished | Deleted:
    if entry.is_deleted:
        return Deleted()
    if entry.result is not None:
        return Finished(entry.result)
    return Pending(entry.status, datetime.fromtimestamp(entry.forgotten_at, UTC))
