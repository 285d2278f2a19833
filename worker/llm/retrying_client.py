"""The one retry layer: tenacity around an `LLMClient`."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_before_delay,
    wait_random_exponential,
)

from shared.domain.job import Job
from shared.domain.priority import Priority
from worker.ports import (
    CallHistory,
    CircuitOpen,
    Completion,
    LLMClient,
    LLMError,
    OutcomeUnknown,
    Partial,
    RateLimited,
    Unavailable,
)
from worker.slots import Slots

_MOST_SPREAD = 1.25
"""So that those who were held back together do not come back together."""

CircuitSeconds = Callable[[Job], float]
"""Until a call of this job may go out; 0: now."""


class RetryingClient:
    """`PatientLLMClient` that tries again what may pass, until attempts or the job's deadline run out.

    Exponential backoff with full jitter, or the provider's `Retry-After` where it is longer. An unknown
    outcome is repeated only if the job says `on_unknown: retry`, and then marks its result. While the
    circuit is open, a job whose caller waits has the tries that it has left; any other one stays.
    """

    def __init__(
        self,
        inner: LLMClient,
        slots: Slots,
        *,
        max_attempts: int,
        backoff_seconds: float,
        max_backoff_seconds: float,
        circuit_seconds: CircuitSeconds = lambda _: 0.0,
    ) -> None:
        self._inner = inner
        self._slots = slots
        self._max_attempts = max_attempts
        self._circuit_seconds = circuit_seconds
        self._backoff = wait_random_exponential(multiplier=backoff_seconds, max=max_backoff_seconds)

    async def complete(
        self, job: Job, history: CallHistory, partial: Partial | None = None, *, stays: bool = True
    ) -> Completion:
        """`stays`: also while the circuit is open, because nobody else can be asked."""
        budget = _Budget(job, history, self._max_attempts, self._circuit_seconds if stays else None)
        try:
            return await self._attempt(job, history, partial)
        except LLMError as fault:  # tenacity costs as much as a call over HTTP: only what failed meets it
            return await self._try_again(fault, budget, partial)

    def is_shut(self, job: Job) -> bool:
        """Whether no call of this job may go out now."""
        return self._circuit_seconds(job) > 0

    async def _try_again(self, first: LLMError, budget: "_Budget", partial: Partial | None) -> Completion:
        """Everything after the first attempt, which tenacity is told as if it had seen it."""
        faults = [first]
        job, history = budget.job, budget.history

        async def attempt() -> Completion:
            if faults:
                raise faults.pop()
            return await self._attempt(job, history, partial)

        retrying = AsyncRetrying(
            retry=retry_if_exception(budget.may_retry),
            wait=self._pause_seconds,
            stop=budget.is_spent,
            sleep=lambda seconds: self._sleep(budget.job.priority, seconds),
            reraise=True,
        )
        try:
            return await retrying(attempt)
        except LLMError as fault:
            note_history(fault, history)
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

    async def _sleep(self, priority: Priority, seconds: float) -> None:
        """A job that pauses holds up nobody."""
        async with self._slots.lent(priority):
            await asyncio.sleep(seconds)

    def _pause_seconds(self, state: RetryCallState) -> float:
        fault = state.outcome.exception() if state.outcome else None
        told = fault.retry_after_seconds or 0.0 if isinstance(fault, LLMError) else 0.0
        if isinstance(fault, LLMError) and not fault.attempts:
            return told * random.uniform(1, _MOST_SPREAD)  # noqa: S311
        return max(told, self._backoff(state))


class _Budget:
    """How often one model is asked for one job."""

    def __init__(
        self, job: Job, history: CallHistory, max_attempts: int, circuit_seconds: CircuitSeconds | None
    ) -> None:
        self.job = job
        self.history = history
        self._calls_before = history.calls
        self._would_miss_deadline = stop_before_delay((job.deadline - datetime.now(UTC)).total_seconds())
        self._max_attempts = max_attempts
        self._circuit_seconds = circuit_seconds
        """None: somebody else can be asked."""
        self._refusals = 0

    def may_retry(self, fault: BaseException) -> bool:
        if isinstance(fault, OutcomeUnknown):
            return self.job.on_unknown == "retry"
        if isinstance(fault, CircuitOpen):
            return self._circuit_seconds is not None and self._may_stay()
        return isinstance(fault, RateLimited | Unavailable)

    def is_spent(self, state: RetryCallState) -> bool:
        """While the circuit is open only the tries of a job are counted whose caller waits."""
        if self._would_miss_deadline(state):
            return True
        tries = self.history.calls - self._calls_before
        is_open = self._is_held_by_circuit(state)
        if self.job.is_waited_for():
            is_too_late = is_open and not self.job.is_waited_for(state.upcoming_sleep)
            return is_too_late or tries + self._refusals >= self._max_attempts
        return tries >= self._max_attempts and not is_open

    def _is_held_by_circuit(self, state: RetryCallState) -> bool:
        """It was refused just now, or its own call was the one too many."""
        if self._circuit_seconds is None:
            return False
        fault = state.outcome.exception() if state.outcome else None
        return isinstance(fault, CircuitOpen) or self._circuit_seconds(self.job) > 0

    def _may_stay(self) -> bool:
        """Who comes while it is open is told so, if he waits; who came before keeps his tries."""
        self._refusals += 1
        return self.history.calls > 0 or not self.job.is_waited_for()


def note_history(fault: LLMError, history: CallHistory) -> None:
    """The fault that a run ends with tells of all its calls."""
    fault.attempts = history.calls
    fault.rate_limited = history.rate_limited
    fault.possible_duplicate_charge = history.may_have_charged_twice
