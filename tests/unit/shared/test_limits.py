"""What a job is expected to use, what it used, and what is said when there is no room."""

from datetime import datetime, timedelta

import pytest

from shared.adapters.fallback_limiter import FallbackLimiter
from shared.adapters.memory_limiter import MemoryLimiter
from shared.domain.errors import ErrorCode
from shared.domain.job import Job, JobId
from shared.domain.limits import NANO, Demand, Limits, LimitTable, Spent, Standing, parse_limits
from shared.domain.result import Succeeded
from shared.limits import Admission, JobLimits, estimated_prompt_tokens, spent_by
from shared.ports import StoreUnavailable
from tests.support.jobs import make_failure, make_job, make_success


def price(model: str, prompt: int, completion: int) -> float | None:
    """A dollar a thousand tokens; one model has none."""
    return None if model == "gpt-4o" else (prompt + completion) / 1000


def limited(**limits: float) -> JobLimits:
    return JobLimits(LimitTable(Limits(**limits)), MemoryLimiter(), price)


async def admission_of(limits: JobLimits, job: Job) -> Admission:
    admission = await limits.take(job)
    assert admission is not None
    return admission


async def refusal_of(limits: JobLimits, job: Job) -> tuple[ErrorCode, dict[str, object]]:
    refusal = (await admission_of(limits, job)).refusal
    assert refusal is not None
    return refusal.error_code, dict(refusal.details or {})


async def test_an_owner_without_limits_is_not_counted() -> None:
    assert await limited().take(make_job()) is None


async def test_a_client_has_its_own_limits_and_the_rest_of_the_default() -> None:
    default = Limits(requests_per_minute=5, jobs_in_flight=7)
    of_owner = parse_limits(
        '{"billing": {"requests_per_minute": 100}, "batch": {"jobs_in_flight": 0}}', default
    )
    table = LimitTable(default, of_owner)
    assert table.of("billing") == Limits(requests_per_minute=100, jobs_in_flight=7)
    assert table.of("batch") == Limits(requests_per_minute=5)
    assert table.of("anyone") == default
    free = LimitTable(Limits(), parse_limits('{"free": {}}', Limits()))
    assert (free.of("free"), free.is_empty()) == (None, True)
    assert not LimitTable(Limits(), of_owner).is_empty()


async def test_dollars_are_reserved_at_the_most_that_the_job_may_cost() -> None:
    limits = limited(dollars_per_day=2.5)
    job = make_job(max_tokens=1000)
    await admission_of(limits, job)
    code, details = await refusal_of(limits, make_job(max_tokens=1000, user_prompt="x" * 1000))
    assert (code, details["limit"]) == (ErrorCode.LIMIT_EXCEEDED, "dollars_per_day")
    # One that ends well gives back what it did not use
    await limits.settle(job.id, make_success(job).model_copy(update={"cost_usd": 0.25}))
    standing = (await admission_of(limits, make_job(max_tokens=1000))).standing
    assert standing is not None
    assert standing.nano_dollars_spent == NANO // 4


async def test_when_the_dollars_are_spent_the_wait_is_until_midnight_and_else_short() -> None:
    limits = limited(dollars_per_day=1.5)
    job = make_job(max_tokens=1000)
    await admission_of(limits, job)
    _, reserved = await refusal_of(limits, make_job(max_tokens=1000))
    await limits.settle(job.id, make_success(job).model_copy(update={"cost_usd": 1.4}))
    admission = await admission_of(limits, make_job(max_tokens=1000))
    _, spent = await refusal_of(limits, make_job(max_tokens=1000))
    assert admission.standing is not None
    assert reserved["retry_after_seconds"] == 2
    assert spent["retry_after_seconds"] == pytest.approx(admission.standing.day_ends_seconds, abs=5)


async def test_a_model_without_a_price_spends_no_dollars() -> None:
    limits = limited(dollars_per_day=0.001)
    standing = (await admission_of(limits, make_job(model="gpt-4o"))).standing
    assert standing is not None
    assert standing.nano_dollars == 0


@pytest.mark.parametrize("limits", [{"tokens_per_minute": 500}, {"dollars_per_day": 0.5}])
async def test_a_job_that_no_wait_would_let_in_is_said_to_be_too_large(limits: dict[str, float]) -> None:
    code, details = await refusal_of(limited(**limits), make_job(max_tokens=1000))
    assert (code, [details["limit"]]) == (ErrorCode.ABOVE_LIMIT, list(limits))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("What is the capital of France?", 7),
        ("Was ist die Hauptstadt von Frankreich?", 9),
        ("法国的首都是哪里", 8),
    ],
)
def test_a_prompt_is_rather_over_than_underestimated(text: str, tokens: int) -> None:
    assert tokens < estimated_prompt_tokens(make_job(user_prompt=text)) < 6 * tokens


def test_tools_and_parts_are_counted_by_their_size() -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": "x" * 2000}}]
    assert estimated_prompt_tokens(make_job(tools=tools)) > 1000
    parts = [{"type": "human", "content": [{"type": "text", "text": "x" * 2000}]}]
    assert estimated_prompt_tokens(make_job(messages=parts)) > 1000


def test_what_a_job_used_is_what_was_counted_or_unknown() -> None:
    job = make_job()
    answer = make_success(job)
    assert spent_by(answer) == Spent(4, None)
    assert spent_by(answer.model_copy(update={"cost_usd": 0.5})) == Spent(4, NANO // 2)
    assert spent_by(answer.model_copy(update={"usage": None})) == Spent(None, None)


@pytest.mark.parametrize(
    ("code", "latency_ms", "spent"),
    [
        (ErrorCode.UPSTREAM_RATE_LIMITED, 5.0, Spent(0, 0)),
        (ErrorCode.JOB_CANCELLED, 0.0, Spent(0, 0)),
        (ErrorCode.JOB_CANCELLED, 5.0, Spent(None, None)),
        (ErrorCode.UPSTREAM_TIMEOUT, 5.0, Spent(None, None)),
        (ErrorCode.TOO_MANY_RUNS, 0.0, Spent(None, None)),
    ],
)
def test_a_failure_costs_what_was_reserved_if_the_provider_may_have_charged(
    code: ErrorCode, latency_ms: float, spent: Spent
) -> None:
    failure = make_failure(make_job(), code).model_copy(update={"llm_latency_ms": latency_ms})
    assert spent_by(failure) == spent


class AwayLimiter(MemoryLimiter):
    """Redis that answers until it does not."""

    is_away = False

    async def take(
        self, job_id: JobId, limits: Limits, demand: Demand, expires_at: datetime
    ) -> tuple[bool, Standing]:
        if self.is_away:
            raise StoreUnavailable("away")
        return await super().take(job_id, limits, demand, expires_at)


def over_two(memory: MemoryLimiter | None, durable: AwayLimiter, *, knows: bool) -> JobLimits:
    async def is_available() -> bool:
        return not durable.is_away or not knows

    limiter = FallbackLimiter(durable, memory, is_available)
    return JobLimits(LimitTable(Limits(jobs_in_flight=1)), limiter, price)


@pytest.mark.parametrize("knows", [True, False], ids=["known to be away", "found out"])
async def test_while_redis_is_away_a_gateway_counts_its_own_callers(*, knows: bool) -> None:
    durable = AwayLimiter()
    limits = over_two(MemoryLimiter(), durable, knows=knows)
    before, meanwhile = make_job(), make_job()
    await admission_of(limits, before)
    durable.is_away = True
    assert (await admission_of(limits, meanwhile)).refusal is None
    assert (await refusal_of(limits, make_job()))[0] is ErrorCode.LIMIT_EXCEEDED
    # Back again: who was admitted in memory holds there and is not asked for a second hold
    durable.is_away = False
    assert (await admission_of(limits, meanwhile)).refusal is None
    assert (await refusal_of(limits, make_job()))[0] is ErrorCode.LIMIT_EXCEEDED
    await limits.settle(before.id, answer_of(before))
    assert (await admission_of(limits, make_job())).refusal is None
    await limits.settle(meanwhile.id, answer_of(meanwhile))
    durable.is_away = True
    assert (await admission_of(limits, make_job())).refusal is None


async def test_while_redis_is_away_a_worker_refuses_nobody() -> None:
    durable = AwayLimiter()
    limits = over_two(None, durable, knows=True)
    await admission_of(limits, make_job())
    assert (await admission_of(limits, make_job())).refusal is not None
    durable.is_away = True
    for _ in range(3):
        assert (await admission_of(limits, make_job())).refusal is None
    await limits.settle(make_job().id, answer_of(make_job()))


async def test_a_hold_outlives_the_deadline_by_no_more_than_the_margin() -> None:
    limits = limited(jobs_in_flight=1)
    await admission_of(limits, make_job(deadline_in=timedelta(seconds=-11)))
    assert (await admission_of(limits, make_job(deadline_in=timedelta(seconds=-5)))).refusal is None
    assert (await admission_of(limits, make_job())).refusal is not None


def answer_of(job: Job) -> Succeeded:
    return make_success(job)
