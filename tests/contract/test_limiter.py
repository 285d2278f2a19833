"""What every limiter promises: never over the limit; holds count once and end, by time at the latest."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from shared.domain.job import JobId
from shared.domain.limits import DAY_SECONDS, NANO, Demand, Limits, Spent, Standing
from shared.limits import Limiter
from tests.conftest import missing
from tests.contract.limiters import Limiters, memory_limiters, redis_limiters
from tests.support.availability import Unavailable
from tests.support.redis_cluster import find_redis_cluster
from tests.support.redis_servers import find_redis, find_valkey
from tests.support.running import RunningServers

BY_KIND = {
    "requests": Limits(requests_per_minute=10),
    "tokens": Limits(tokens_per_minute=1000),
    "jobs": Limits(jobs_in_flight=10),
    "dollars": Limits(dollars_per_day=0.1),
    "all": Limits(requests_per_minute=10, tokens_per_minute=1000, jobs_in_flight=10, dollars_per_day=0.1),
}
A_TENTH = Demand(tokens=100, nano_dollars=NANO // 100)
ALL = BY_KIND["all"]
NOTHING = Spent(0, 0)


@pytest.fixture(params=["memory", "redis", "valkey", "cluster"])
async def limiters(request: pytest.FixtureRequest, servers: RunningServers) -> AsyncIterator[Limiters]:
    """Each limiter in turn."""
    try:
        match request.param:
            case "redis":
                opened = redis_limiters(servers.get(find_redis).url)
            case "cluster":
                opened = redis_limiters(servers.get(find_redis_cluster).url)
            case "valkey":
                opened = redis_limiters(servers.get(find_valkey).url)
            case _:
                opened = memory_limiters()
    except Unavailable as reason:
        missing(str(reason))
    async with opened as limiters:
        yield limiters


def some_owner() -> str:
    return f"owner-{uuid4()}"


def some_job(owner: str) -> JobId:
    return JobId(owner, str(uuid4()))


def ends_in(limiters: Limiters, seconds: float) -> datetime:
    return datetime.fromtimestamp(limiters.seconds() + seconds, UTC)


async def ask(
    limiters: Limiters, job: JobId, limits: Limits = ALL, demand: Demand = A_TENTH
) -> tuple[bool, Standing]:
    return await limiters.one.take(job, limits, demand, ends_in(limiters, 300))


async def fill(limiters: Limiters, owner: str, limits: Limits = ALL) -> list[JobId]:
    jobs = [some_job(owner) for _ in range(10)]
    assert [(await ask(limiters, job, limits))[0] for job in jobs] == [True] * 10
    return jobs


def used(standing: Standing) -> tuple[int, int, int, int]:
    return standing.requests, standing.tokens, standing.in_flight, standing.nano_dollars


@pytest.mark.parametrize("kind", BY_KIND)
async def test_a_hundred_at_once_against_a_budget_for_ten_admit_ten(limiters: Limiters, kind: str) -> None:
    owner, ends = some_owner(), ends_in(limiters, 300)
    processes: itertools.cycle[Limiter] = itertools.cycle(limiters.processes)
    asked = (next(processes).take(some_job(owner), BY_KIND[kind], A_TENTH, ends) for _ in range(100))
    outcomes = await asyncio.gather(*asked)
    assert sum(is_admitted for is_admitted, _ in outcomes) == 10
    # And another owner has all of its own
    assert (await ask(limiters, some_job(some_owner()), BY_KIND[kind]))[0]


async def test_the_standing_tells_what_is_used_and_when_it_frees(limiters: Limiters) -> None:
    owner = some_owner()
    _, standing = await ask(limiters, some_job(owner))
    assert used(standing) == (1, 100, 1, NANO // 100)
    assert (standing.nano_dollars_spent, standing.tokens_leave_seconds) == (
        0,
        standing.request_leaves_seconds,
    )
    assert 50 < standing.request_leaves_seconds <= 60
    assert 0 < standing.day_ends_seconds <= DAY_SECONDS
    # A refusal says how long until the tokens that it wants are there: those of the two oldest requests
    await limiters.pass_seconds(20, owner)
    await ask(limiters, some_job(owner))
    _, refused = await ask(limiters, some_job(owner), demand=Demand(tokens=901))
    assert refused.request_leaves_seconds <= 40 < refused.tokens_leave_seconds <= 60


async def test_a_hold_taken_twice_counts_once_even_where_there_is_no_room(limiters: Limiters) -> None:
    jobs = await fill(limiters, some_owner())
    is_admitted, standing = await ask(limiters, jobs[3])
    assert is_admitted
    assert used(standing) == (10, 1000, 10, NANO // 10)


async def test_a_hold_settled_twice_counts_once_and_what_was_used_replaces_what_was_reserved(
    limiters: Limiters,
) -> None:
    owner = some_owner()
    job = some_job(owner)
    await ask(limiters, job)
    for _ in range(2):
        await limiters.one.settle(job, Spent(tokens=30, nano_dollars=NANO // 50))
    _, standing = await ask(limiters, some_job(owner))
    assert used(standing) == (2, 130, 1, NANO // 50 + NANO // 100)
    assert standing.nano_dollars_spent == NANO // 50


async def test_what_is_not_known_counts_as_it_was_reserved(limiters: Limiters) -> None:
    owner = some_owner()
    job = some_job(owner)
    await ask(limiters, job)
    await limiters.one.settle(job, Spent(None, None))
    _, standing = await ask(limiters, some_job(owner))
    assert used(standing) == (2, 200, 1, 2 * NANO // 100)
    assert standing.nano_dollars_spent == NANO // 100


async def test_a_job_that_never_began_counts_nothing(limiters: Limiters) -> None:
    owner = some_owner()
    job = some_job(owner)
    await ask(limiters, job)
    for _ in range(2):
        await limiters.one.give_back(job)
    _, standing = await ask(limiters, some_job(owner))
    assert used(standing) == (1, 100, 1, NANO // 100)


async def test_the_same_id_again_after_its_end_is_another_request(limiters: Limiters) -> None:
    owner = some_owner()
    job = some_job(owner)
    for _ in range(2):
        await ask(limiters, job)
        await limiters.one.settle(job, NOTHING)
    _, standing = await ask(limiters, job)
    assert used(standing) == (3, 100, 1, NANO // 100)


async def test_settling_what_nobody_holds_does_nothing(limiters: Limiters) -> None:
    owner = some_owner()
    await limiters.one.settle(some_job(owner), Spent(500, NANO))
    await limiters.one.give_back(some_job(owner))
    _, standing = await ask(limiters, some_job(owner))
    assert used(standing) == (1, 100, 1, NANO // 100)


async def test_the_minute_passes(limiters: Limiters) -> None:
    owner = some_owner()
    limits = BY_KIND["requests"]
    await fill(limiters, owner, limits)
    await limiters.pass_seconds(55, owner)
    assert not (await ask(limiters, some_job(owner), limits))[0]
    await limiters.pass_seconds(5, owner)
    is_admitted, standing = await ask(limiters, some_job(owner), limits)
    assert is_admitted
    assert (standing.requests, standing.tokens, standing.in_flight) == (1, 100, 11)


async def test_a_hold_ends_with_its_time_and_frees_what_it_reserved(limiters: Limiters) -> None:
    owner = some_owner()
    await fill(limiters, owner)
    await limiters.pass_seconds(301, owner)
    _, standing = await ask(limiters, some_job(owner))
    assert used(standing) == (1, 100, 1, NANO // 100)
    assert standing.nano_dollars_spent == 0


async def test_what_was_spent_is_forgotten_when_the_utc_day_ends(limiters: Limiters) -> None:
    owner = some_owner()
    for job in await fill(limiters, owner, BY_KIND["dollars"]):
        await limiters.one.settle(job, Spent(None, None))
    is_admitted, standing = await ask(limiters, some_job(owner), BY_KIND["dollars"])
    assert not is_admitted
    await limiters.pass_seconds(standing.day_ends_seconds + 1, owner)
    assert (await ask(limiters, some_job(owner), BY_KIND["dollars"]))[0]


async def test_nothing_is_kept_of_an_owner_who_stays_away(limiters: Limiters) -> None:
    """`pass_seconds` asserts that the key has an end."""
    owner = some_owner()
    await ask(limiters, some_job(owner))
    await limiters.pass_seconds(timedelta(days=1).total_seconds(), owner)
