"""Limits on the way of a job: a hold when it is accepted, settled when it has ended."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from pydantic_core import to_json

from shared.domain.errors import ErrorCode, JobError
from shared.domain.job import Job, JobId
from shared.domain.limits import (
    NANO,
    Demand,
    Limits,
    LimitTable,
    Spent,
    Standing,
    above_limit,
    limit_exceeded,
    shortages,
)
from shared.domain.result import Failed, Succeeded

_HOLD_MARGIN = timedelta(seconds=10)
"""A job that is cut off at its deadline still has to be stored."""
_BYTES_A_TOKEN = 2
"""English has four; what is reserved shall rather be too much, and is corrected in the end."""
_TOKENS_A_MESSAGE = 8
_UNBOUNDED_ANSWER_TOKENS = 4096
"""Reserved for an answer that nobody bounded, which only OpenAI's own API allows."""

Price = Callable[[str, int, int], float | None]
"""Dollars of a model's prompt and completion tokens, None if unknown."""


class Limiter(Protocol):
    """Where the use of every owner is counted. A hold is a job id's: taken or settled twice, it counts once.

    Raises `StoreUnavailable`.
    """

    async def take(
        self, job_id: JobId, limits: Limits, demand: Demand, expires_at: datetime
    ) -> tuple[bool, Standing]:
        """Count the job in one atomic step if there is room for it, or if it holds already."""
        ...

    async def settle(self, job_id: JobId, spent: Spent) -> None:
        """The job has ended: what it reserved becomes what it used."""
        ...

    async def give_back(self, job_id: JobId) -> None:
        """The job never began: as if it had not been asked for."""
        ...


@dataclass(frozen=True, slots=True)
class Admission:
    """What the limits say of a job."""

    limits: Limits
    standing: Standing | None = None
    """None: nothing was counted."""
    refusal: JobError | None = None


class JobLimits:
    """The limits of all owners."""

    def __init__(self, table: LimitTable, limiter: Limiter, price: Price) -> None:
        self._table = table
        self._limiter = limiter
        self._price = price

    def of(self, owner: str) -> Limits | None:
        return self._table.of(owner)

    async def take(self, job: Job) -> Admission | None:
        """A hold for `job`, until its deadline at the latest; None if its owner has no limits."""
        limits = self._table.of(job.id.owner)
        if limits is None:
            return None
        demand = self._demand(job, limits)
        refusal = above_limit(limits, demand)
        if refusal is not None:
            return Admission(limits, refusal=refusal)
        is_admitted, standing = await self._limiter.take(job.id, limits, demand, job.deadline + _HOLD_MARGIN)
        if is_admitted:
            return Admission(limits, standing)
        return Admission(limits, standing, limit_exceeded(shortages(limits, demand, standing), demand))

    async def settle(self, job_id: JobId, result: Succeeded | Failed) -> None:
        """Before the result can be seen, so that who sees it can send the next job."""
        if self._table.of(job_id.owner) is not None:
            await self._limiter.settle(job_id, spent_by(result))

    async def give_back(self, job_id: JobId) -> None:
        if self._table.of(job_id.owner) is not None:
            await self._limiter.give_back(job_id)

    def _demand(self, job: Job, limits: Limits) -> Demand:
        if not (limits.tokens_per_minute or limits.dollars_per_day):
            return Demand()
        prompt_tokens, completion_tokens = estimated_prompt_tokens(job), _most_completion_tokens(job)
        dollars = self._price(job.model, prompt_tokens, completion_tokens) if limits.dollars_per_day else None
        return Demand(prompt_tokens + completion_tokens, round((dollars or 0.0) * NANO))


def _most_completion_tokens(job: Job) -> int:
    asked = job.parameters
    most = asked.max_completion_tokens or asked.max_tokens or _UNBOUNDED_ANSWER_TOKENS
    return most * (asked.n or 1)


def estimated_prompt_tokens(job: Job) -> int:
    """Rather too many than too few, for any language, without a tokenizer."""
    sizes = [
        len(to_json(message, exclude_none=True))
        if message.tool_calls or not isinstance(message.content, str)
        else len(message.content.encode())
        for message in job.messages
    ]
    extras = (job.parameters.tools, job.parameters.response_format)
    size = sum(sizes) + sum(len(to_json(extra)) for extra in extras if extra is not None)
    return size // _BYTES_A_TOKEN + _TOKENS_A_MESSAGE * len(sizes)


def spent_by(result: Succeeded | Failed) -> Spent:
    """What the provider counted; where it may have charged and did not say, what was reserved."""
    if isinstance(result, Succeeded) and result.from_cache:
        return Spent(0, 0)
    if isinstance(result, Succeeded):
        tokens = result.usage.total_tokens if result.usage is not None else None
        dollars = result.cost_usd
        return Spent(tokens, round(dollars * NANO) if dollars is not None else None)
    return Spent(None, None) if _may_have_been_charged(result) else Spent(0, 0)


def _may_have_been_charged(result: Failed) -> bool:
    was_called = result.llm_latency_ms > 0
    code = result.error.error_code
    return code in _CALLED_BEFORE or (was_called and code in _UNKNOWN_ENDS)


_CALLED_BEFORE = frozenset({ErrorCode.UNKNOWN_OUTCOME, ErrorCode.TOO_MANY_RUNS})
_UNKNOWN_ENDS = frozenset(
    {
        ErrorCode.UPSTREAM_TIMEOUT,
        ErrorCode.UPSTREAM_INVALID_RESPONSE,
        ErrorCode.DEADLINE_EXCEEDED,
        ErrorCode.JOB_CANCELLED,
        ErrorCode.INTERNAL_ERROR,
    }
)
