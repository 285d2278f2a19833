"""What people read of the statistics."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter

from gateway.answer_schemas import Figures
from gateway.figures import add_up, figures
from gateway.stats_reader import StatsReader
from shared.domain.failed_job import FailedJob
from shared.domain.totals import SLICE_SECONDS, tally
from tests.contract.examples import failure_of, some_job_id, success_of
from tests.support.jobs import make_job, make_success
from tests.unit.gateway.gateway_in_process import Gateway, gateway_in_process

NOW = 1_800_000_000


class Told:
    """`Sums` that says what a test says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.by_start: dict[int, dict[str, int]] = {}
        self.asked: list[Sequence[int]] = []

    async def totals(self) -> Mapping[str, int]:
        return add_up(self.by_start.values())

    async def slices(self, starts: Sequence[int]) -> Sequence[Mapping[str, int]]:
        self.asked.append(starts)
        return [self.by_start.get(start, {}) for start in starts]

    async def count(self, amounts: Mapping[str, int]) -> None:
        raise NotImplementedError

    async def failures(self, owner: str) -> Sequence[FailedJob]:
        raise NotImplementedError


def test_figures_are_the_sums_of_what_was_stored() -> None:
    priced = success_of(some_job_id(), attempts=3).model_copy(
        update={"cost_usd": 0.25, "retries": {"UPSTREAM_RATE_LIMITED": 2}, "total_ms": 1000.0}
    )
    cached = priced.model_copy(update={"from_cache": True, "retries": None})
    told = figures(add_up([tally(priced), tally(cached), tally(failure_of(some_job_id()))]))
    assert told["requests"] == {
        "succeeded": 2, "failed": 1, "expired": 0, "cancelled": 0, "replayed": 0, "refused": 0
    }  # fmt: skip
    assert (told["cost_usd"], told["unpriced_answers"], told["cache"]["hits"]) == (0.25, 0, 1)
    assert told["tokens"] == {"prompt_tokens": 9, "completion_tokens": 1}
    assert told["models"] == {
        "gpt-4o-mini": {"answers": 1, "prompt_tokens": 9, "completion_tokens": 1, "cost_usd": 0.25}
    }
    assert told["retries"] == {"UPSTREAM_RATE_LIMITED": 2}
    assert told["errors"] == {"UPSTREAM_RATE_LIMITED": 1}
    assert told["latency_ms"]["end_to_end"]["count"] == 3
    assert told["latency_ms"]["end_to_end"]["p99"] == pytest.approx(1000, rel=0.01)
    TypeAdapter(Figures).validate_python(told)


def test_an_answer_without_a_price_is_counted_and_costs_nothing() -> None:
    told = figures(tally(success_of(some_job_id()).model_copy(update={"cost_usd": None})))
    assert (told["cost_usd"], told["unpriced_answers"]) == (0, 1)
    assert figures({})["latency_ms"]["queue"] == {"count": 0, "p50": None, "p95": None, "p99": None}


async def test_what_is_settled_is_asked_for_once_and_what_is_not_again() -> None:
    sums, now = Told(), [float(NOW)]
    reader = StatsReader(sums, lambda: now[0])
    sums.by_start[NOW - 600] = {"jobs_succeeded": 1}
    assert (await reader.read()).slices[NOW - 600] == {"jobs_succeeded": 1}
    now[0] += SLICE_SECONDS
    sums.by_start[NOW] = {"jobs_succeeded": 2}
    assert (await reader.read()).slices[NOW] == {"jobs_succeeded": 2}
    assert NOW - 600 not in sums.asked[1]
    assert NOW - 30 in sums.asked[1]
    assert len(sums.asked[0]) == 362


async def test_windows_hold_what_ended_in_them() -> None:
    async with gateway_in_process() as gateway:
        await finish(gateway, seconds_ago=10)
        await finish(gateway, seconds_ago=200)
        await finish(gateway, seconds_ago=1800)
        told = (await gateway.http.get("/stats")).json()
    counts = {name: window["requests"]["succeeded"] for name, window in told.items() if "last_" in name}
    assert counts == {"last_1_minute": 1, "last_5_minutes": 2, "last_60_minutes": 3}
    assert told["total"]["requests"]["succeeded"] == 3


async def finish(gateway: Gateway, *, seconds_ago: float) -> None:
    job = make_job()
    ended_at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    await gateway.finish(job, make_success(job).model_copy(update={"completed_at": ended_at}))
