"""What both services ask of the world outside: one screen."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from shared.domain.events import Event
from shared.domain.failed_job import FailedJob
from shared.domain.job import JobId
from shared.domain.replica import Replica, ReplicaReport
from shared.domain.result import Failed, Succeeded


class StoreUnavailable(Exception):
    """The result store did not answer in time; nothing is known about what it did."""


class ResultLogUnavailable(Exception):
    """The log of results did not acknowledge, or cannot be read."""


@dataclass(frozen=True, slots=True)
class Reserved:
    """The id is the caller's: enqueue the job."""


@dataclass(frozen=True, slots=True)
class Pending:
    """The same job is queued or running."""

    status: Literal["queued", "running"]
    expires_at: datetime
    """When the id is forgotten if the job never ends."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The same job has a result."""

    result: Succeeded | Failed


@dataclass(frozen=True, slots=True)
class Conflicting:
    """The id belongs to another question or another key."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """The result was erased and its tombstone keeps the id, or its retention is over and the id is free."""


@dataclass(frozen=True, slots=True)
class Run:
    """The right to execute a job and to store its result, until the lease ends."""

    id: JobId
    token: str
    """Random, one a run: a worker that lost its lease cannot store with it."""
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Begun:
    """The job is the caller's to run."""

    run: Run
    interrupted_runs: int
    """Earlier runs that began and never ended: each may have reached the provider."""
    attempts: int
    """Provider calls of the earlier runs that did end."""
    is_cancelled: bool = False
    """Somebody asked for the job to be cut off."""
    knows_history: bool = True
    """False: the store that would know of earlier runs is away."""


@dataclass(frozen=True, slots=True)
class Held:
    """Another run holds the lease."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Renewed:
    """What became of leases since the last look."""

    lost: Sequence[Run] = ()
    """Their lease belongs to another run by now."""
    cancelled: Sequence[Run] = ()
    """Somebody asked for them to be cut off."""


class ResultWatch(Protocol):
    """A standing order for one result."""

    async def result(self) -> Succeeded | Failed:
        """The result, however long it takes."""
        ...

    def when_known(self, tell: Callable[[Succeeded | Failed], None]) -> None:
        """Hand the result to `tell`, if there is one before the watch ends."""
        ...


class ResultKeeper(Protocol):
    """Where a result is stored once."""

    async def save(self, run: Run, result: Succeeded | Failed) -> Succeeded | Failed | None:
        """Store the result and wake who waits for it. The first writer wins: returns the stored result.

        None: the lease went to another run, whose result will be the one, or the job was deleted.
        """
        ...


class JobClaims(ResultKeeper, Protocol):
    """The gateway's half of the store."""

    async def reserve(
        self, job_id: JobId, fingerprint: str, claim: str, expires_at: datetime
    ) -> Reserved | Pending | Finished | Conflicting | Deleted:
        """Claim the id in one atomic step; repeated with the same random `claim`, it answers the same.

        A stored failure that may pass is cleared and the id is reserved again.
        """
        ...

    async def release(self, job_id: JobId, claim: str) -> None:
        """Give the id back, if it is still this claim's and no run began.

        A failure that this claim cleared is as it was.
        """
        ...

    async def get(self, job_id: JobId) -> Pending | Finished | Deleted | None:
        """What is known of the id; None if nothing."""
        ...

    async def cancel(self, job_id: JobId) -> Pending | Finished | Deleted | None:
        """What is known of the id; a pending job is marked, and whoever runs it cuts it off."""
        ...

    async def delete(self, job_id: JobId) -> Pending | Deleted | None:
        """Erase the result and keep a tombstone for a whole retention.

        A pending job stays as it is.
        """
        ...

    def watch(self, job_id: JobId) -> AbstractContextManager[ResultWatch]:
        """Watch before `reserve` or `get`, and no result is missed."""
        ...

    async def is_available(self) -> bool:
        """Whether what is stored is known and will be kept; never raises."""
        ...


class JobRuns(ResultKeeper, Protocol):
    """The worker's half of the store."""

    async def begin(
        self,
        run: Run,
        lease_seconds: float,
        expires_at: datetime,
        *,
        asked_at: datetime | None = None,
        needs_history: bool = False,
    ) -> Begun | Held | Finished | Conflicting | Deleted:
        """Take the lease in one atomic step; an id that nobody reserved is reserved on the way.

        A stored failure that may pass and ended before `asked_at` is cleared: somebody asked anew.
        `needs_history`: `StoreUnavailable` rather than a run that cannot know of earlier ones.
        """
        ...

    async def renew(self, runs: Sequence[Run], lease_seconds: float) -> Renewed:
        """Prolong the leases that are still their runs'."""
        ...

    async def restore(self, run: Run, result: Succeeded | Failed) -> Succeeded | Failed | None:
        """`save` from another copy, after the store was away or lost data.

        A final result needs no lease, and replaces a failure that may pass. None also past its retention.
        """
        ...

    async def is_available(self) -> bool:
        """Whether what is stored is known and will be kept; never raises."""
        ...


class Sums(Protocol):
    """The statistics of the whole service; see `tally` for the names. Raises `StoreUnavailable`."""

    async def totals(self) -> Mapping[str, int]:
        """Sums over every result that was stored, each counted in the step that stored it."""
        ...

    async def slices(self, starts: Sequence[int]) -> Sequence[Mapping[str, int]]:
        """The same of the ten seconds that begin at each of `starts` (Unix seconds)."""
        ...

    async def count(self, amounts: Mapping[str, int]) -> None:
        """Add what no result tells, now."""
        ...

    async def failures(self, owner: str) -> Sequence[FailedJob]:
        """The owner's last failed jobs, the latest first: as few as a person looks through."""
        ...


class Replicas(Protocol):
    """The processes of the service, by what they say of themselves. Raises `StoreUnavailable`."""

    async def tell(self, replica: str, report: ReplicaReport) -> None:
        """Instead of what this replica said before."""
        ...

    async def leave(self, replica: str) -> None:
        """It ends in peace, and nobody shall miss it."""
        ...

    async def read(self) -> Sequence[Replica]:
        """Those that spoke lately, also if they have fallen silent."""
        ...


class ResultStore(JobClaims, JobRuns, Sums, Protocol):
    """Where a job is claimed once and its one result is kept."""


@dataclass(frozen=True, slots=True)
class Hit:
    """Another job's answer, or the end of the call that this job waited for."""

    result: Succeeded | Failed


@dataclass(frozen=True, slots=True)
class Leading:
    """The call is the caller's to make, for all who ask the same."""


@dataclass(frozen=True, slots=True)
class Following:
    """Somebody makes that call just now."""


class ResponseCache(Protocol):
    """Answers by owner and question, and calls that are under way for them. Raises `StoreUnavailable`."""

    async def find(self, owner: str, fingerprint: str) -> Succeeded | None:
        """The answer that is kept."""
        ...

    async def enter(self, run: Run, asked_at: datetime) -> Hit | Leading | Following:
        """Lead the call, unless it is under way or its end is known; repeated, it answers the same.

        Who leads has a few seconds to begin its run, and leads as long as it holds its lease.
        """
        ...

    async def leave(self, run: Run, end: Succeeded | Failed | None) -> None:
        """The call that this run leads has ended; None: not for others, so that the next one leads."""
        ...

    async def keep(self, run: Run, result: Succeeded, ttl_seconds: int) -> None:
        """Keep the answer for those who come."""
        ...


RETRY_MARK = b'{"retrying":'


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an answer that is being written, in the provider's own JSON, or the word of a new attempt."""

    position: int
    """From 1 on, over all attempts."""
    json: bytes

    @property
    def is_retry(self) -> bool:
        """Whether it is the word of a new attempt."""
        return self.json.startswith(RETRY_MARK)


class StreamWriter(Protocol):
    """The worker's half of the answers that are being written."""

    async def append(self, run: Run, first: int, pieces: Sequence[bytes]) -> bool:
        """Add pieces and wake who follows; False: the lease is another run's.

        `first`: the number of the first of them within the run; what is there already is not added again.
        """
        ...


class StreamReader(Protocol):
    """The gateway's half."""

    async def read(self, job_id: JobId, after: int) -> Sequence[Piece]:
        """The next pieces after that position, some at a time; none: that is all for now."""
        ...

    def follow(self, job_id: JobId) -> AbstractContextManager[asyncio.Event]:
        """Set whenever pieces were added; a job that is also watched wakes its followers at once."""
        ...


class AnswerStreams(StreamWriter, StreamReader, Protocol):
    """Answers while they are being written, and for ten minutes after."""


class EventSink(Protocol):
    """Where facts go. Never blocks and never raises: no job waits for its events."""

    def emit(self, event: Event) -> None:
        """Hand the fact over."""
        ...
