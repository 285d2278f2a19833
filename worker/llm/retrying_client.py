"""The one retry layer: tenacity around an `LLMClient`."""

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
from worker.ports import Completion, LLMClient, LLMError, OutcomeUnknown, RateLimited, Unavailable


class RetryingClient:
    """`LLMClient` that tries again what may pass, until attempts or the job's deadline run out.

    Exponential backoff with full jitter, or the provider's `Retry-After` where it is longer. An unknown
    outcome is repeated only if the job says `on_unknown: retry`, and then marks its result.
    """

    def __init__(
        self, inner: LLMClient, *, max_attempts: int, backoff_seconds: float, max_backoff_seconds: float
    ) -> None:
        self._inner = inner
        self._max_attempts = max_attempts
        self._backoff = wait_random_exponential(multiplier=backoff_seconds, max=max_backoff_seconds)

    async def complete(self, job: Job, attempt: int) -> Completion:
        history = _History(job)
        retrying = AsyncRetrying(
            retry=retry_if_exception(history.may_retry),
            wait=self._pause_seconds,
            stop=stop_after_attempt(self._max_attempts) | stop_before_delay(_remaining_seconds(job)),
            reraise=True,
        )
        try:
            return await retrying(self._attempt, job, attempt, history)
        except LLMError as fault:
            fault.attempts = history.calls
            fault.rate_limited = history.rate_limited
            # One unknown outcome is one possible charge; it is a duplicate only if the call was repeated.
            fault.possible_duplicate_charge = history.unknown_outcomes > 0 and history.calls > 1
            raise

    async def _attempt(self, job: Job, first_attempt: int, history: "_History") -> Completion:
        number = first_attempt + history.calls
        try:
            completion = await self._inner.complete(job, number)
        except LLMError as fault:
            history.remember(fault)
            raise
        history.calls += 1
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


class _History:
    """What the calls of one run came to."""

    def __init__(self, job: Job) -> None:
        self.calls = 0
        self.rate_limited = False
        self.unknown_outcomes = 0
        self._repeats_unknown = job.on_unknown == "retry"

    def remember(self, fault: LLMError) -> None:
        self.calls += fault.attempts  # 0 if nothing could be asked
        self.rate_limited = self.rate_limited or isinstance(fault, RateLimited)
        self.unknown_outcomes += isinstance(fault, OutcomeUnknown)

    def may_retry(self, fault: BaseException) -> bool:
        if isinstance(fault, OutcomeUnknown):
            return self._repeats_unknown
        return isinstance(fault, RateLimited | Unavailable)


def _remaining_seconds(job: Job) -> float:
    return (job.deadline - datetime.now(UTC)).total_seconds()
