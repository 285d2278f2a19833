"""The straight line of a job: begin, call, save, tell."""

import asyncio
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from loguru import logger
from pydantic import JsonValue

from shared.domain.errors import ErrorCode, JobError, job_error
from shared.domain.events import JobFailed, JobFinished
from shared.domain.job import Job, JobId
from shared.domain.result import Failed, Succeeded
from shared.ports import Begun, Conflicting, EventSink, Finished, Held, JobRuns, Run, StoreUnavailable
from worker.leases import Leases
from worker.ports import Completion, LLMClient, LLMError, RateLimited

_RUNNING_HERE_SECONDS = 0.5
_STORE_AWAY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Done:
    """The job needs nothing more of this record."""


@dataclass(frozen=True, slots=True)
class LookAgain:
    """The job is in other hands, or the store is away: come back."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Poisoned:
    """The job keeps killing workers; it has failed and its record is for people to see."""

    error: JobError


Outcome = Done | LookAgain | Poisoned


class JobProcessor:
    """Executes jobs, each at least once and stored once."""

    def __init__(
        self,
        store: JobRuns,
        llm: LLMClient,
        events: EventSink,
        leases: Leases,
        *,
        max_runs: int,
        store_away_seconds: float = _STORE_AWAY_SECONDS,
    ) -> None:
        self._store = store
        self._llm = llm
        self._events = events
        self._leases = leases
        self._max_runs = max_runs
        self._store_away_seconds = store_away_seconds
        self._processing: set[JobId] = set()

    async def process(self, job: Job) -> Outcome:
        """Run `job` unless it has a result or somebody else runs it."""
        if job.id in self._processing:
            return LookAgain(_RUNNING_HERE_SECONDS)
        self._processing.add(job.id)
        try:
            return await self._process(job)
        finally:
            self._processing.discard(job.id)

    async def _process(self, job: Job) -> Outcome:
        run = Run(job.id, secrets.token_hex(16), job.fingerprint)
        try:
            begun = await self._store.begin(run, self._leases.lease_seconds, job.deadline)
        except StoreUnavailable as fault:
            logger.bind(request_id=job.id.request_id, fault=str(fault)).warning("job_waits_for_store")
            return LookAgain(self._store_away_seconds)
        match begun:
            case Begun():
                with self._leases.hold(run):
                    return await self._run(job, begun)
            case Held(seconds):
                return LookAgain(seconds)
            case Finished():
                return Done()
            case Conflicting():
                return self._refuse(job)

    async def _run(self, job: Job, begun: Begun) -> Outcome:
        result = await self._execute(job, begun)
        stored = await self._save(begun.run, result)
        if stored is None:
            return LookAgain(_RUNNING_HERE_SECONDS)
        self._tell(stored)
        if isinstance(stored, Failed) and stored.error.error_code is ErrorCode.TOO_MANY_RUNS:
            return Poisoned(stored.error)
        return Done()

    async def _execute(self, job: Job, begun: Begun) -> Succeeded | Failed:
        attempt = _Attempt(job, begun, datetime.now(UTC))
        remaining_seconds = (job.deadline - attempt.started_at).total_seconds()
        if remaining_seconds <= 0:
            return attempt.expired("before it could start")
        if begun.interrupted_runs >= self._max_runs:
            return attempt.failed(_too_many_runs(begun.interrupted_runs))
        if begun.interrupted_runs and job.on_unknown == "fail":
            return attempt.failed(_UNKNOWN_OUTCOME)
        try:
            async with asyncio.timeout(remaining_seconds):
                return attempt.succeeded(await self._llm.complete(job, attempt.number))
        except TimeoutError:
            return attempt.expired("while it was running", calls=1)
        except LLMError as fault:
            return attempt.failed(_provider_error(fault), fault)
        except Exception:
            logger.bind(request_id=job.id.request_id).exception("job_crashed")
            return attempt.failed(_CRASHED)

    async def _save(self, run: Run, result: Succeeded | Failed) -> Succeeded | Failed | None:
        """The answer is paid for: it is kept until the store takes it."""
        while True:
            try:
                return await self._store.save(run, result)
            except StoreUnavailable as fault:
                logger.bind(request_id=run.id.request_id, fault=str(fault)).warning("result_waits_for_store")
                await asyncio.sleep(self._store_away_seconds)

    def _tell(self, result: Succeeded | Failed) -> None:
        usage = result.usage if isinstance(result, Succeeded) else None
        self._events.emit(
            JobFinished(
                request_id=result.request_id,
                model=result.model,
                status=result.status,
                attempts=result.attempts,
                retry_count=result.retry_count,
                rate_limited=result.rate_limited,
                queue_ms=result.queue_ms,
                llm_latency_ms=result.llm_latency_ms,
                prompt_tokens=usage.prompt_tokens if usage else None,
                completion_tokens=usage.completion_tokens if usage else None,
                possible_duplicate_charge=result.possible_duplicate_charge,
                metadata=result.metadata,
            )
        )
        if isinstance(result, Failed):
            self._events.emit(failure_event(result.request_id, result.error, result.attempts))

    def _refuse(self, job: Job) -> Outcome:
        """A record whose id belongs to another question: said, and left alone."""
        self._events.emit(failure_event(job.id.request_id, _CONFLICT, 0))
        return Done()


class _Attempt:
    """One run of a job on its way to a result."""

    def __init__(self, job: Job, begun: Begun, started_at: datetime) -> None:
        self.started_at = started_at
        self._job = job
        self._interrupted_runs = begun.interrupted_runs
        # A run that died counts one call, because it may have made one.
        self._earlier_calls = begun.attempts + begun.interrupted_runs
        self.number = self._earlier_calls + 1

    def succeeded(self, completion: Completion) -> Succeeded:
        return Succeeded(
            request_id=self._job.id.request_id,
            model=completion.model,
            completed_at=datetime.now(UTC),
            queue_ms=self._queue_ms(),
            llm_latency_ms=completion.latency_ms,
            attempts=self._earlier_calls + completion.attempts,
            retry_count=self._earlier_calls + completion.attempts - 1,
            rate_limited=completion.rate_limited,
            possible_duplicate_charge=completion.possible_duplicate_charge or self._interrupted_runs > 0,
            metadata=self._job.metadata,
            message=completion.message,
            finish_reason=completion.finish_reason,
            confidence=completion.confidence,
            usage=completion.usage,
        )

    def failed(self, error: JobError, fault: LLMError | None = None) -> Failed:
        return self._failed(
            error,
            "failed",
            calls=fault.attempts if fault else 0,
            rate_limited=fault.rate_limited if fault else False,
            possible_duplicate_charge=fault.possible_duplicate_charge if fault else False,
        )

    def expired(self, when: str, calls: int = 0) -> Failed:
        error = job_error(ErrorCode.DEADLINE_EXCEEDED, f"The deadline of the job passed {when}")
        return self._failed(error, "expired", calls=calls)

    def _failed(
        self,
        error: JobError,
        status: Literal["failed", "expired"],
        *,
        calls: int,
        rate_limited: bool = False,
        possible_duplicate_charge: bool = False,
    ) -> Failed:
        attempts = self._earlier_calls + calls
        ended_at = datetime.now(UTC)
        return Failed(
            status=status,
            request_id=self._job.id.request_id,
            model=self._job.model,
            completed_at=ended_at,
            queue_ms=self._queue_ms(),
            llm_latency_ms=round((ended_at - self.started_at).total_seconds() * 1000, 3) if calls else 0.0,
            attempts=attempts,
            retry_count=max(0, attempts - 1),
            rate_limited=rate_limited,
            possible_duplicate_charge=possible_duplicate_charge,
            metadata=self._job.metadata,
            error=error,
        )

    def _queue_ms(self) -> float:
        return round(max(0.0, (self.started_at - self._job.created_at).total_seconds() * 1000), 3)


def failure_event(request_id: str | None, error: JobError, attempt: int, **origin: int | str) -> JobFailed:
    """A failure as a fact; the provider's own words stay in the result."""
    body = error.model_dump(mode="json", exclude={"details"})
    return JobFailed(request_id=request_id, error=body, attempt=attempt, **origin)  # type: ignore[arg-type]


def _provider_error(fault: LLMError) -> JobError:
    details: dict[str, JsonValue] = {}
    if fault.provider_message:
        details["provider_message"] = fault.provider_message
    if isinstance(fault, RateLimited) and fault.retry_after_seconds is not None:
        details["retry_after_seconds"] = fault.retry_after_seconds
    return job_error(fault.code, str(fault), details=details or None)


def _too_many_runs(interrupted_runs: int) -> JobError:
    return job_error(
        ErrorCode.TOO_MANY_RUNS,
        f"{interrupted_runs} workers ended while they ran this job; it is not tried again",
        details={"interrupted_runs": interrupted_runs},
    )


_UNKNOWN_OUTCOME = job_error(
    ErrorCode.UNKNOWN_OUTCOME,
    "A worker ended during the provider call, which may have been charged; on_unknown is fail, so it was not "
    "repeated",
)
_CRASHED = job_error(ErrorCode.INTERNAL_ERROR, "A fault of ours while the job ran")
_CONFLICT = job_error(
    ErrorCode.DUPLICATE_REQUEST_ID,
    "request_id: this id was used with another body or another key",
    field="request_id",
)
