"""Every response cache that this product has, as several workers and a gateway see it."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from shared.adapters.memory_response_cache import MemoryResponseCache
from shared.adapters.memory_result_store import MemoryResultStore
from shared.adapters.redis_cluster_keys import SHARDS
from shared.adapters.redis_response_cache import RedisResponseCache
from shared.adapters.redis_result_store import connect_redis_result_store
from shared.domain.errors import ErrorCode
from shared.domain.job import JobId
from shared.domain.result import Failed, Succeeded
from shared.ports import Begun, Following, Hit, Leading, ResponseCache, ResultStore, Run
from tests.contract.examples import failure_of, success_of

MOST = 3
# Memory has no leader that could die alone, and counts in the result store.
IN_REDIS = pytest.mark.parametrize("memory_or_redis", ["redis", "valkey"], indirect=True)
LATER = timedelta(minutes=1)


@dataclass(frozen=True)
class Caches:
    """One cache over two connections, where processes can share it."""

    store: ResultStore
    one: ResponseCache
    two: ResponseCache
    fingerprint: str

    def run(self, *, owner: str = "public", fingerprint: str = "") -> Run:
        return Run(JobId(owner, str(uuid4())), uuid4().hex, fingerprint or self.fingerprint)


@asynccontextmanager
async def _memory() -> AsyncIterator[Caches]:
    cache = MemoryResponseCache(MOST)
    store = MemoryResultStore(timedelta(hours=1))
    yield Caches(store, cache, cache, fingerprint=uuid4().hex)


@asynccontextmanager
async def _redis(url: str) -> AsyncIterator[Caches]:
    async with (
        connect_redis_result_store(url, max_connections=5, retention=timedelta(hours=1)) as one,
        connect_redis_result_store(url, max_connections=5, retention=timedelta(hours=1)) as two,
    ):
        for index in one.batches.parts("llm:cache"):
            await one.batches.call("DEL", index)
        first, second = (RedisResponseCache(store.batches, MOST) for store in (one, two))
        yield Caches(one, first, second, fingerprint=uuid4().hex)


@pytest.fixture
async def caches(memory_or_redis: str | None) -> AsyncIterator[Caches]:
    async with _redis(memory_or_redis) if memory_or_redis else _memory() as caches:
        yield caches


def now() -> datetime:
    """In whole milliseconds, which is what stores keep; a moment ago, so that it is before what comes."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000) - timedelta(milliseconds=2)


async def test_an_answer_is_kept_for_its_owner_and_its_question(caches: Caches) -> None:
    run = caches.run()
    assert await caches.two.find("public", run.fingerprint) is None
    answer = success_of(run.id, "Paris, früher Lutetia")
    await caches.one.keep(run, answer, 60)
    assert await caches.two.find("public", run.fingerprint) == answer
    assert await caches.two.enter(caches.run(), now()) == Hit(answer)
    assert await caches.two.find("other", run.fingerprint) is None
    assert await caches.two.find("public", uuid4().hex) is None


@pytest.mark.parametrize("memory_or_redis", ["cluster"], indirect=True)
async def test_nor_over_the_shards_of_a_cluster_together(caches: Caches) -> None:
    """Each bounds itself, to one at least."""
    runs = [caches.run(fingerprint=uuid4().hex) for _ in range(4 * SHARDS)]
    for run in runs:
        await caches.one.keep(run, success_of(run.id), 60)
    found = [await caches.two.find("public", run.fingerprint) is not None for run in runs]
    assert 1 <= sum(found) <= SHARDS


async def test_a_new_answer_takes_the_place_of_the_old_one(caches: Caches) -> None:
    for text in ("Paris", "Lyon"):
        run = caches.run()
        await caches.one.keep(run, success_of(run.id, text), 60)
    found = await caches.two.find("public", caches.fingerprint)
    assert found is not None
    assert found.message["content"] == "Lyon"


@pytest.mark.parametrize("memory_or_redis", ["memory", "redis", "valkey"], indirect=True)
async def test_there_are_never_more_answers_than_allowed(caches: Caches) -> None:
    runs = [caches.run(fingerprint=uuid4().hex) for _ in range(MOST + 2)]
    for number, run in enumerate(runs):
        await caches.one.keep(run, success_of(run.id), 60 + number)
    found = [await caches.two.find("public", run.fingerprint) is not None for run in runs]
    assert found == [False, False, *[True] * MOST]


async def test_an_answer_ends_with_its_time(caches: Caches) -> None:
    run = caches.run()
    await caches.one.keep(run, success_of(run.id), 1)
    async with asyncio.timeout(10):
        while await caches.two.find("public", run.fingerprint) is not None:
            await asyncio.sleep(0.01)
    assert await caches.two.enter(run, now()) == Leading()


async def test_one_leads_and_the_others_follow(caches: Caches) -> None:
    leader, follower = caches.run(), caches.run()
    assert await caches.one.enter(leader, now()) == Leading()
    assert await caches.one.enter(leader, now()) == Leading()  # a lost reply
    assert await caches.two.enter(follower, now()) == Following()
    # Never across owners, nor questions
    assert await caches.two.enter(caches.run(owner="other"), now()) == Leading()
    assert await caches.two.enter(caches.run(fingerprint=uuid4().hex), now()) == Leading()


@pytest.mark.parametrize("end", ["success", "failure"])
async def test_who_waited_for_a_call_has_its_end_and_nobody_else(caches: Caches, end: str) -> None:
    leader, follower = caches.run(), caches.run()
    asked_at = now()
    assert await caches.one.enter(leader, asked_at) == Leading()
    result: Succeeded | Failed = success_of(leader.id) if end == "success" else failure_of(leader.id)
    result = result.model_copy(update={"completed_at": asked_at})
    await caches.one.leave(leader, result)
    assert await caches.two.enter(follower, asked_at) == Hit(result)
    assert await caches.two.enter(caches.run(), asked_at + timedelta(milliseconds=1)) == Leading()


async def test_after_a_leader_without_an_end_the_next_one_leads(caches: Caches) -> None:
    leader, follower = caches.run(), caches.run()
    asked_at = now()
    await caches.one.enter(leader, asked_at)
    await caches.one.leave(leader, None)
    assert await caches.two.enter(follower, asked_at) == Leading()
    assert await caches.one.enter(leader, asked_at) == Following()


async def test_who_does_not_lead_ends_nothing(caches: Caches) -> None:
    leader, other = caches.run(), caches.run()
    await caches.one.enter(leader, now())
    await caches.two.leave(other, failure_of(other.id, ErrorCode.CONTENT_POLICY))
    assert await caches.two.enter(other, now()) == Following()


@IN_REDIS
async def test_a_leader_leads_as_long_as_it_holds_its_lease(caches: Caches) -> None:
    leader, follower = caches.run(), caches.run()
    await caches.one.enter(leader, now())
    # The time to begin is over, and it has begun
    begun = await caches.store.begin(leader, 60, datetime.now(UTC) + LATER)
    assert isinstance(begun, Begun)
    await _age(caches, leader)
    assert await caches.two.enter(follower, now()) == Following()
    # It dies: its lease ends, and another leads
    await caches.store.renew([leader], 0.001)
    async with asyncio.timeout(10):
        while await caches.two.enter(follower, now()) != Leading():
            await asyncio.sleep(0.01)
    # The one that was thought dead ends nothing
    await caches.one.leave(leader, success_of(leader.id))
    assert await caches.two.enter(caches.run(), now()) == Following()


@IN_REDIS
async def test_a_leader_that_never_began_leads_no_longer(caches: Caches) -> None:
    leader, follower = caches.run(), caches.run()
    await caches.one.enter(leader, now())
    await _age(caches, leader)
    assert await caches.two.enter(follower, now()) == Leading()


async def _age(caches: Caches, leader: Run) -> None:
    """The time to begin is over."""
    client = caches.store.client  # type: ignore[attr-defined]
    assert await client.hset(f"llm:flight:{leader.id.owner}:{leader.fingerprint}", "lse", 1) == 0


@IN_REDIS
async def test_hits_of_the_cache_are_not_billed_and_misses_are_counted(caches: Caches) -> None:
    before = dict(await caches.store.totals())
    run = caches.run()
    await caches.one.enter(run, now())
    await caches.store.save(run, success_of(run.id))
    cached = caches.run()
    answer = success_of(cached.id).model_copy(update={"from_cache": True, "attempts": 0})
    await caches.store.save(dataclasses.replace(cached), answer)
    after = await caches.store.totals()
    grown = {name: count - before.get(name, 0) for name, count in after.items()}
    assert (grown["jobs_succeeded"], grown["cache_hits"], grown["cache_misses"]) == (2, 1, 1)
    assert (grown["prompt_tokens"], grown["provider_calls"]) == (9, 1)
