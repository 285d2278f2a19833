"""The straight line of a request: reserve, enqueue, wait."""

import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from gateway.cached_answers import CachedAnswers
from gateway.caller import Caller
from gateway.ports import JobQueue, QueueUnavailable
from gateway.waits import Waits
from shared.domain.caching import CACHE_MISS, must_be_cached
from shared.domain.errors import ErrorCode, JobError, job_error
from shared.domain.job import Job, JobId
from shared.domain.result import Failed, Succeeded
from shared.limits import Admission, JobLimits
from shared.ports import (
    Conflicting,
    Deleted,
    Finished,
    JobClaims,
    Pending,
    Reserved,
    ResultWatch,
    Run,
    StoreUnavailable,
)


@dataclass(frozen=True, slots=True)
class Answered:
    """The job has its result."""

    result: Succeeded | Failed
    is_replay: bool = False
    """The result was there before this request."""
    is_joined: bool = field(default=False, compare=False)
    """Another request had asked for the job, and it had not ended."""
    is_cache_hit: bool = False
    """This gateway stored another job's answer as this one's."""
    admission: Admission | None = field(default=None, compare=False)
    """What the limits said, if they were asked."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The job will have a result."""

    job_id: JobId
    status: Literal["queued", "running"]
    expires_at: datetime
    """When the id is forgotten if the job never ends."""
    admission: Admission | None = field(default=None, compare=False)
    is_joined: bool = field(default=False, compare=False)


class RequestRefused(Exception):
    """The request conflicts with what is stored, or goes beyond what its owner may use."""

    def __init__(self, error: JobError, admission: Admission | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.admission = admission


class JobService:
    """What HTTP can do with jobs."""

    def __init__(
        self,
        store: JobClaims,
        queue: JobQueue,
        waits: Waits,
        *,
        limits: JobLimits | None = None,
        answers: CachedAnswers | None = None,
    ) -> None:
        self._store = store
        self._queue = queue
        self._limits = limits
        self._answers = answers
        self.waits = waits

    async def submit(
        self, job: Job, wait_seconds: float, caller: Caller | None = None, *, is_strict: bool = False
    ) -> Answered | Accepted:
        """Execute `job` once, whoever else asks for it, and wait for its result at most `wait_seconds`."""
        claim = secrets.token_hex(16)
        with self._store.watch(job.id) as watch:
            reservation = await self._store.reserve(job.id, job.fingerprint, claim, job.deadline)
            match reservation:
                case Conflicting():
                    raise RequestRefused(_DUPLICATE)
                case Deleted():
                    raise RequestRefused(_DELETED)
                case Finished(result):
                    return Answered(result, is_replay=True)
                case Pending() if is_strict:
                    raise RequestRefused(_IN_PROGRESS)
                case Pending():
                    return replace(await self._join(job, watch, wait_seconds, caller), is_joined=True)
                case Reserved():
                    if (known := await self._cached(job, claim)) is not None:
                        return Answered(known, is_cache_hit=True)
                    admission = await self._admit(job, claim) if self._limits is not None else None
                    await self._enqueue_reserved(job, claim)
                    outcome = await self._wait_or_accept(job, watch, wait_seconds, caller, was_enqueued=True)
                    return outcome if admission is None else replace(outcome, admission=admission)

    async def get(
        self, job_id: JobId, wait_seconds: float, caller: Caller | None = None
    ) -> Answered | Accepted | Deleted | None:
        """What is known of a job, after waiting for its result at most `wait_seconds`."""
        with self._store.watch(job_id) as watch:
            known = await self._store.get(job_id)
            match known:
                case Finished(result):
                    return Answered(result)
                case Pending(status, expires_at):
                    waited = await self._wait(watch, wait_seconds, caller)
                    return Answered(waited) if waited is not None else Accepted(job_id, status, expires_at)
                case Deleted():
                    return known
                case None:
                    return await self._wait_for_unknown(watch, wait_seconds, caller)

    async def cancel(self, job_id: JobId) -> Answered | Accepted | Deleted | None:
        """Ask for a job to be cut off. Accepted: whoever runs it will be told."""
        known = await self._store.cancel(job_id)
        match known:
            case Finished(result):
                return Answered(result)
            case Pending(status, expires_at):
                return Accepted(job_id, status, expires_at)
            case Deleted():
                return known
            case None:
                await self._check_unknown()
                return None

    async def delete(self, job_id: JobId) -> Deleted | None:
        """Erase the result of a finished job; its id stays taken."""
        known = await self._store.delete(job_id)
        if isinstance(known, Pending):
            raise RequestRefused(_STILL_RUNNING)
        if known is None:
            await self._check_unknown()
        return known

    async def _wait_for_unknown(
        self, watch: ResultWatch, wait_seconds: float, caller: Caller | None
    ) -> Answered | None:
        """While the store is away, another gateway's job may be told in a moment."""
        if await self._store.is_available():
            return None
        waited = await self._wait(watch, wait_seconds, caller)
        if waited is not None:
            return Answered(waited)
        await self._check_unknown()
        return None

    async def _check_unknown(self) -> None:
        """Nobody knows the id, unless the store that would know it is away."""
        if not await self._store.is_available():
            raise StoreUnavailable("it is away, and may know this request_id")

    async def _cached(self, job: Job, claim: str) -> Succeeded | Failed | None:
        """Another job's answer, stored as this one's; None: the job is to be enqueued."""
        known = await self._answers.find(job) if self._answers is not None else None
        if known is not None:
            return await self._store.save(Run(job.id, claim, job.fingerprint), known)
        if must_be_cached(job):
            await self._store.release(job.id, claim)
            raise RequestRefused(CACHE_MISS)
        return None

    async def _admit(self, job: Job, claim: str) -> Admission | None:
        """A hold for a new job, or the id is free again."""
        admission = await self._limits.take(job) if self._limits is not None else None
        if admission is not None and admission.refusal is not None:
            await self._store.release(job.id, claim)
            raise RequestRefused(admission.refusal, admission)
        return admission

    async def _enqueue_reserved(self, job: Job, claim: str) -> None:
        try:
            await self._queue.enqueue(job)
        except QueueUnavailable:
            if self._limits is not None:
                await self._limits.give_back(job.id)
            await self._store.release(job.id, claim)
            raise

    async def _join(
        self, job: Job, watch: ResultWatch, wait_seconds: float, caller: Caller | None
    ) -> Answered | Accepted:
        """Wait for a job that another request claimed; before long, look whether it was ever queued."""
        patience_seconds = min(wait_seconds, _JOIN_PATIENCE_SECONDS)
        outcome = await self._wait_or_accept(job, watch, patience_seconds, caller, was_enqueued=False)
        if isinstance(outcome, Answered) or wait_seconds <= patience_seconds:
            return outcome
        return await self._wait_or_accept(
            job, watch, wait_seconds - patience_seconds, caller, was_enqueued=True
        )

    async def _wait_or_accept(
        self,
        job: Job,
        watch: ResultWatch,
        wait_seconds: float,
        caller: Caller | None,
        *,
        was_enqueued: bool,
    ) -> Answered | Accepted:
        waited = await self._wait(watch, wait_seconds, caller)
        if waited is not None:
            return Answered(waited)
        return await self._accept(job, was_enqueued=was_enqueued)

    async def _accept(self, job: Job, *, was_enqueued: bool) -> Answered | Accepted:
        """Promise the job. One that never began may have been claimed by a gateway that died before it
        could enqueue, so whoever joined such a job enqueues it again: a duplicate record does no harm."""
        try:
            known = await self._store.get(job.id)
        except StoreUnavailable:
            if was_enqueued:  # the queue has it, so the promise stands
                return Accepted(job.id, "queued", job.deadline)
            raise
        if isinstance(known, Finished):
            return Answered(known.result)
        if isinstance(known, Deleted):
            raise RequestRefused(_DELETED)
        status = known.status if known is not None else "queued"
        if status == "queued" and not was_enqueued:
            await self._queue.enqueue(job)
        return Accepted(job.id, status, known.expires_at if known is not None else job.deadline)

    async def _wait(
        self, watch: ResultWatch, wait_seconds: float, caller: Caller | None
    ) -> Succeeded | Failed | None:
        return await self.waits.hold(watch.result, wait_seconds, caller)


_JOIN_PATIENCE_SECONDS = 2.0
_DUPLICATE = job_error(
    ErrorCode.DUPLICATE_REQUEST_ID,
    "request_id: this id was used with another body or another key; send a new id, or the same body",
    field="request_id",
)
_DELETED = job_error(
    ErrorCode.RESULT_DELETED,
    "request_id: the result of this id was deleted; send a new id",
    field="request_id",
)
_STILL_RUNNING = job_error(
    ErrorCode.STILL_RUNNING,
    "request_id: the job has not ended; cancel it first, or delete it when it has",
    field="request_id",
)
_IN_PROGRESS = job_error(
    ErrorCode.REQUEST_IN_PROGRESS,
    "request_id: the same request is still running, and Prefer: handling=strict asks not to join it",
    field="request_id",
)
