"""What a run came to: the result that is stored."""

from datetime import UTC, datetime
from typing import Literal

from pydantic import JsonValue

from shared.domain.errors import ErrorCode, JobError, job_error
from shared.domain.job import Job
from shared.domain.result import Failed, Succeeded
from shared.ports import Begun
from worker.ports import CallHistory, Completion, LLMError, OutcomeUnknown


class RunReport:
    """What one run of a job came to, as its result."""

    def __init__(self, job: Job, begun: Begun, *, is_suspect: bool = False) -> None:
        self.started_at = datetime.now(UTC)
        self._job = job
        self._may_have_been_called = begun.interrupted_runs > 0 or is_suspect
        # A run that died counts one call, because it may have made one.
        self._earlier_calls = begun.attempts + begun.interrupted_runs
        self.first_attempt = self._earlier_calls + 1

    def succeeded(self, completion: Completion, history: CallHistory) -> Succeeded:
        ended_at = datetime.now(UTC)
        return Succeeded(
            request_id=self._job.id.request_id,
            model=completion.model,
            completed_at=ended_at,
            queue_ms=self._queue_ms(),
            llm_latency_ms=completion.latency_ms,
            attempts=self._earlier_calls + completion.attempts,
            retry_count=self._earlier_calls + completion.attempts - 1,
            rate_limited=completion.rate_limited,
            total_ms=self._ms_until(ended_at),
            retries=history.retries,
            possible_duplicate_charge=completion.possible_duplicate_charge or self._may_have_been_called,
            cost_usd=completion.cost_usd,
            metadata=self._job.metadata,
            message=completion.message,
            finish_reason=completion.finish_reason,
            confidence=completion.confidence,
            usage=completion.usage,
            provider_answer=completion.answer,
            is_fallback=completion.is_fallback,
        )

    def shared(self, end: Succeeded | Failed) -> Succeeded | Failed:
        """Another job's end as this one's: no call was made, beside those of earlier runs."""
        calls = {"attempts": self._earlier_calls, "retry_count": max(0, self._earlier_calls - 1)}
        return end.model_copy(update=calls)

    def failed(
        self, error: JobError, fault: LLMError | None = None, history: CallHistory | None = None
    ) -> Failed:
        return self._failed(
            error,
            "failed",
            calls=fault.attempts if fault else 0,
            rate_limited=fault.rate_limited if fault else False,
            possible_duplicate_charge=fault.possible_duplicate_charge if fault else False,
            retries=history.retries if history else None,
        )

    def expired(self, when: str, history: CallHistory | None = None) -> Failed:
        error = job_error(ErrorCode.DEADLINE_EXCEEDED, f"The deadline of the job passed {when}")
        return self._cut_off(error, "expired", history)

    def cancelled(self, when: str, history: CallHistory | None = None) -> Failed:
        error = job_error(ErrorCode.JOB_CANCELLED, f"The job was cancelled {when}")
        return self._cut_off(error, "cancelled", history)

    def _cut_off(
        self, error: JobError, status: Literal["expired", "cancelled"], history: CallHistory | None
    ) -> Failed:
        history = history or CallHistory(self.first_attempt)
        return self._failed(
            error,
            status,
            calls=history.calls,
            rate_limited=history.rate_limited,
            possible_duplicate_charge=history.may_have_charged_twice,
            retries=history.retries,
        )

    def _failed(
        self,
        error: JobError,
        status: Literal["failed", "expired", "cancelled"],
        *,
        calls: int,
        rate_limited: bool = False,
        possible_duplicate_charge: bool = False,
        retries: dict[str, int] | None = None,
    ) -> Failed:
        attempts = self._earlier_calls + calls
        is_second_call = calls > 0 and self._may_have_been_called
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
            total_ms=self._ms_until(ended_at),
            retries=retries,
            possible_duplicate_charge=possible_duplicate_charge or is_second_call,
            metadata=self._job.metadata,
            error=error,
        )

    def _queue_ms(self) -> float:
        return self._ms_until(self.started_at)

    def _ms_until(self, instant: datetime) -> float:
        return round(max(0.0, (instant - self._job.created_at).total_seconds() * 1000), 3)


def provider_error(fault: LLMError, job: Job) -> JobError:
    """The provider's fault as the error of the job."""
    details: dict[str, JsonValue] = {}
    if fault.provider_message:
        details["provider_message"] = fault.provider_message
    if fault.retry_after_seconds is not None:
        details["retry_after_seconds"] = fault.retry_after_seconds
    if isinstance(fault, OutcomeUnknown) and job.on_unknown == "fail":
        # Final: asked again under its id, the job must not be called a second time.
        told = f"{fault}; the call may have been charged, and on_unknown is fail, so it is not repeated"
        return job_error(ErrorCode.UNKNOWN_OUTCOME, told, details={"cause": fault.code, **details})
    return job_error(fault.code, str(fault), details=details or None)


def too_many_runs(interrupted_runs: int) -> JobError:
    """A job that keeps killing workers."""
    return job_error(
        ErrorCode.TOO_MANY_RUNS,
        f"{interrupted_runs} workers ended while they ran this job; it is not tried again",
        details={"interrupted_runs": interrupted_runs},
    )


UNKNOWN_OUTCOME = job_error(
    ErrorCode.UNKNOWN_OUTCOME,
    "A worker ended during the provider call, which may have been charged; on_unknown is fail, so it was not "
    "repeated",
)
CRASHED = job_error(ErrorCode.INTERNAL_ERROR, "A fault of ours while the job ran")
CONFLICT = job_error(
    ErrorCode.DUPLICATE_REQUEST_ID,
    "request_id: this id was used with another body or another key",
    field="request_id",
)
DELETED = job_error(
    ErrorCode.RESULT_DELETED,
    "request_id: the result of this id was deleted; send a new id",
    field="request_id",
)
