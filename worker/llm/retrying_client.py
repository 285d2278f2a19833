"""The one retry layer: tenacity around an `LLMClient`."""

import functools
from dataclasses import replace
from datetime import UTC, datetime

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from shared.domain.job import Job
from worker.ports import (
    CallHistory,
    Completion,
    LLMClient,
    LLMError,
    OutcomeUnknown,
    Partial,
    RateLimited,
    Unavailable,
)


class RetryingClient:
    """`PatientLLMClient` that tries again what may pass, until attempts or the job's deadline run out.

    Exponential backoff with full jitter, or the provider's `Retry-After` where it is longer. An unknown
    outcome is repeated only if the job says `on_unknown: retry`, and then marks its result.
    """

    def __init__(
        self, inner: LLMClient, *, max_attempts: int, backoff_seconds: float, max_backoff_seconds: float
    ) -> None:
        self._inner = inner
        self._max_attempts = max_attempts
        self._backoff = wait_random_exponential(multiplier=backoff_seconds, max=max_backoff_seconds)

    async def complete(self, job: Job, history: CallHistory, partial: Partial | None = None) -> Completion:
        try:
            return await self._attempt(job, history, partial)
        except LLMError as fault:  # tenacity costs as much as a call over HTTP: only what failed meets it
            return await self._try_again(fault, job, history, partial)

    async def _try_again(
        self, first: LLMError, job: Job, history: CallHistory, partial: Partial | None
    ) -> Completion:
        """Everything after the first attempt, which tenacity is told as if it had seen it."""
        faults = [first]

        async def attempt() -> Completion:
            if faults:
                raise faults.pop()
            return await self._attempt(job, history, partial)

        retrying = AsyncRetrying(
            retry=retry_if_exception(functools.partial(_may_retry, job)),
            wait=self._pause_seconds,
            stop=stop_after_attempt(self._max_attempts) | stop_before_delay(_remaining_seconds(job)),
            reraise=True,
        )
        try:
            return await retrying(attempt)
        except LLMError as fault:
            fault.attempts = history.calls
            fault.rate_limited = history.rate_limited
            fault.possible_duplicate_charge = history.may_have_charged_twice
            raise

    async def _attempt(self, job: Job, history: CallHistory, partial: Partial | None) -> Completion:
        number = history.first_attempt + history.calls
        if partial is not None and number > 1:
            partial.retrying(number, is_first_here=history.calls == 0)
        history.calls += 1
        try:
            completion = await self._inner.complete(job, number, partial.add if partial is not None else None)
        except LLMError as fault:
            history.calls -= 1 - fault.attempts  # 0 if nothing could be asked
            history.rate_limited = history.rate_limited or isinstance(fault, RateLimited)
            history.unknown_outcomes += isinstance(fault, OutcomeUnknown)
            history.faults += [fault.code] * fault.attempts
            raise
        return replace(
            completion,
            attempts=history.calls,
            rate_limited=history.rate_limited,
            possible_duplicate_charge=history.unknown_outcomes > 0,
        )

    def _pause_seconds(self, state: RetryCallState) -> float:
        fault = state.outcome.exception() if state.outcome else None
        told = fault.retry_after_seconds if isinstance(fault, RateLimited) else None
        return max(told or 0.0, self._backoff(state))


def _may_retry(job: Job, fault: BaseException) -> bool:
    if isinstance(fault, OutcomeUnknown):
        return job.on_unknown == "retry"
    return isinstance(fault, RateLimited | Unavailable)


def _remaining_seconds(job: Job) -> float:
    return (job.deadline - datetime.now(UTC)).total_seconds()
