"""One process whose Redis goes and comes back: memory takes over, and gives back."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
from redis.asyncio import Redis

from shared.adapters.fallback_result_store import FallbackResultStore, fall_back_to_memory
from shared.adapters.memory_result_store import MemoryResultStore
from shared.adapters.redis_result_store import connect_redis_result_store
from shared.domain.job import JobId
from shared.domain.result import Failed, Succeeded
from shared.ports import Begun, Finished, Pending, Reserved, ResultWatch, Run
from tests.conftest import missing
from tests.contract.eventually import eventually
from tests.contract.examples import (
    A_CLAIM,
    ANOTHER_CLAIM,
    QUESTION,
    in_a_minute,
    run_of,
    some_job_id,
    success_of,
)
from tests.contract.result_stores import RETENTION
from tests.support.availability import Unavailable
from tests.support.redis_process import DURABLE, RedisServer
from tests.support.redis_servers import any_binary

LEASE = 60.0


@dataclass(frozen=True)
class OneProcess:
    """Its store, and Redis as an outsider sees it."""

    store: FallbackResultStore
    memory: MemoryResultStore
    server: RedisServer

    async def is_in_redis(self, job_id: JobId) -> bool:
        async with Redis.from_url(self.server.url) as client:
            return bool([key async for key in client.scan_iter(f"*{job_id.request_id}*")])


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server to kill; what it acknowledged it knows when it is back."""
    try:
        binary = any_binary()
    except Unavailable as reason:
        missing(str(reason))
    with RedisServer(binary, DURABLE) as server:
        yield server


@pytest.fixture
async def process(server: RedisServer) -> AsyncIterator[OneProcess]:
    memory = MemoryResultStore(RETENTION)
    async with (
        connect_redis_result_store(
            server.url, max_connections=10, retention=RETENTION, queue_dies_with_process=True
        ) as durable,
        fall_back_to_memory(durable, memory) as store,
    ):
        yield OneProcess(store, memory, server)


async def test_jobs_live_in_redis_while_it_answers(process: OneProcess) -> None:
    # When a job is done
    job_id = some_job_id()
    await serve(process.store, job_id)
    # Then it is in Redis, not in memory, and the store is whole
    assert await process.store.is_available()
    assert await process.is_in_redis(job_id)
    assert not process.memory.knows(job_id)


async def test_jobs_go_on_in_memory_while_redis_is_away(process: OneProcess) -> None:
    # Given Redis was killed
    process.server.kill()
    # When jobs come, then each is claimed, run, stored and told, and the store says that it is degraded
    for _ in range(3):
        await serve(process.store, some_job_id())
    assert not await process.store.is_available()


async def test_a_job_that_began_in_redis_ends_although_redis_is_away(process: OneProcess) -> None:
    # Given a job that runs, and a caller who waits
    job_id = some_job_id()
    with process.store.watch(job_id) as watch:
        await reserve(process.store, job_id)
        run = await begin(process.store, job_id)
        # When Redis is killed and the run ends
        process.server.kill()
        assert await process.store.save(run, success_of(job_id)) == success_of(job_id)
        # Then the caller has the result, and whoever asks later too
        assert await woken(watch) == success_of(job_id)
    assert await reserve(process.store, job_id, ANOTHER_CLAIM) == Finished(success_of(job_id))


async def test_a_job_that_was_queued_in_redis_begins_although_redis_is_away(process: OneProcess) -> None:
    # Given a reserved job, and a caller who waits
    job_id = some_job_id()
    with process.store.watch(job_id) as watch:
        await reserve(process.store, job_id)
        # When Redis is killed before a worker begins it
        process.server.kill()
        run = await begin(process.store, job_id)
        await process.store.save(run, success_of(job_id))
        # Then the caller has the result
        assert await woken(watch) == success_of(job_id)


async def test_new_jobs_go_to_redis_when_it_is_back(process: OneProcess) -> None:
    # Given a process that went to memory
    process.server.kill()
    await serve(process.store, some_job_id())
    # When Redis is back
    process.server.restart()
    await eventually(process.store.is_available)
    # Then a new job lives in Redis
    job_id = some_job_id()
    await serve(process.store, job_id)
    assert await process.is_in_redis(job_id)
    assert not process.memory.knows(job_id)


async def test_a_job_that_began_in_memory_ends_in_redis(process: OneProcess) -> None:
    # Given a job that began while Redis was away, and a caller who waits
    process.server.kill()
    job_id = some_job_id()
    with process.store.watch(job_id) as watch:
        run = await begin(process.store, job_id)
        assert isinstance(await reserve(process.store, job_id), Pending)
        # When Redis comes back before the job ends
        process.server.restart()
        await asyncio.wait_for(process.store.until_healthy(), 15)
        # Then it lives there: its lease is renewed, and its result reaches the caller, who asked only here
        assert not process.memory.knows(job_id)
        assert (await process.store.renew([run], LEASE)).lost == []
        await process.store.save(run, success_of(job_id))
        assert await woken(watch) == success_of(job_id)
    # And it is Redis that has it
    assert await process.store.get(job_id) == Finished(success_of(job_id))
    assert await process.is_in_redis(job_id)


async def test_what_was_known_before_is_known_again_when_redis_is_back(process: OneProcess) -> None:
    # Given a finished job, and Redis away: nobody knows it meanwhile
    job_id = some_job_id()
    await serve(process.store, job_id)
    process.server.kill()
    assert await process.store.get(job_id) is None
    # When Redis is back with its data, then the result is there
    process.server.restart()
    await eventually(process.store.is_available)
    assert await process.store.get(job_id) == Finished(success_of(job_id))


async def test_a_store_whose_redis_is_away_at_the_start_says_so(server: RedisServer) -> None:
    # Given a Redis that is not there
    server.kill()
    # When a process starts
    async with (
        connect_redis_result_store(server.url, max_connections=10, retention=RETENTION) as durable,
        fall_back_to_memory(durable, MemoryResultStore(RETENTION)) as store,
    ):
        # Then it knows from the first moment, and works
        assert not await store.is_available()
        await serve(store, some_job_id())


async def test_a_caller_who_asks_again_while_redis_is_away_does_not_cost_the_running_job_its_answer(
    process: OneProcess,
) -> None:
    # Given a job that runs, begun in Redis, which is killed
    job_id = some_job_id()
    await reserve(process.store, job_id)
    run = await begin(process.store, job_id)
    process.server.kill()
    # When its caller asks again, and then the run ends
    await reserve(process.store, job_id, ANOTHER_CLAIM)
    # Then the answer is stored
    assert await process.store.save(run, success_of(job_id)) == success_of(job_id)


async def test_renewing_falls_back_like_every_other_step(server: RedisServer) -> None:
    # Given a process with a job that runs, without the probe that would notice first
    async with connect_redis_result_store(server.url, max_connections=10, retention=RETENTION) as durable:
        store = FallbackResultStore(durable, MemoryResultStore(RETENTION))
        run = await begin(store, some_job_id())
        # When Redis is killed and the run is renewed, then it goes on
        server.kill()
        assert (await store.renew([run], LEASE)).lost == []


async def reserve(store: FallbackResultStore, job_id: JobId, claim: str = A_CLAIM) -> object:
    return await store.reserve(job_id, QUESTION, claim, in_a_minute())


async def begin(store: FallbackResultStore, job_id: JobId) -> Run:
    begun = await store.begin(run_of(job_id), LEASE, in_a_minute())
    assert isinstance(begun, Begun)
    return begun.run


async def serve(store: FallbackResultStore, job_id: JobId) -> None:
    """The whole life of a job, as a caller sees it."""
    with store.watch(job_id) as watch:
        assert await reserve(store, job_id) == Reserved()
        run = await begin(store, job_id)
        assert await store.save(run, success_of(job_id)) == success_of(job_id)
        assert await woken(watch) == success_of(job_id)
    assert await store.get(job_id) == Finished(success_of(job_id))


async def woken(watch: ResultWatch) -> Succeeded | Failed:
    async with asyncio.timeout(15):
        return await watch.result()
