"""What both services ask of the world outside: one screen."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from shared.domain.events import Event
from shared.domain.job import JobId
from shared.domain.result import Failed, Succeeded


class StoreUnavailable(Exception):
    """The result store did not answer in time; nothing is known about what it did."""


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


@dataclass(frozen=True, slots=True)
class Held:
    """Another run holds the lease."""

    seconds: float


class ResultWatch(Protocol):
    """A standing order for one result."""

    async def result(self) -> Succeeded | Failed:
        """The result, however long it takes."""
        ...


class JobClaims(Protocol):
    """The gateway's half of the store."""

    async def reserve(
        self, job_id: JobId, fingerprint: str, claim: str, expires_at: datetime
    ) -> Reserved | Pending | Finished | Conflicting:
        """Claim the id in one atomic step; repeated with the same random `claim`, it answers the same.

        A stored failure that may pass is cleared and the id is reserved again.
        """
        ...

    async def release(self, job_id: JobId, claim: str) -> None:
        """Give the id back, if it is still this claim's and no run began."""
        ...

    async def get(self, job_id: JobId) -> Pending | Finished | None:
        """What is known of the id; None if nothing."""
        ...

    def watch(self, job_id: JobId) -> AbstractContextManager[ResultWatch]:
        """Watch before `reserve` or `get`, and no result is missed."""
        ...


class JobRuns(Protocol):
    """The worker's half of the store."""

    async def begin(
        self, run: Run, lease_seconds: float, expires_at: datetime
    ) -> Begun | Held | Finished | Conflicting:
        """Take the lease in one atomic step; an id that nobody reserved is reserved on the way."""
        ...

    async def renew(self, runs: Sequence[Run], lease_seconds: float) -> list[Run]:
        """Prolong the leases; returns the runs whose lease belongs to another by now."""
        ...

    async def save(self, run: Run, result: Succeeded | Failed) -> Succeeded | Failed | None:
        """Store the result and wake who waits for it. The first writer wins: returns the stored result.

        None: the lease went to another run, whose result will be the one.
        """
        ...


class ResultStore(JobClaims, JobRuns, Protocol):
    """Where a job is claimed once and its one result is kept."""

    async def is_available(self) -> bool:
        """Whether the store answers now; never raises."""
        ...


class EventSink(Protocol):
    """Where facts go. Never blocks and never raises: no job waits for its events."""

    def emit(self, event: Event) -> None:
        """Hand the fact over."""
        ...
