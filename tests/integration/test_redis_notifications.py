"""Waits on Redis through everything that can happen to a connection: the stored result is the truth, the
message only wakes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from shared.adapters.redis_result_store import RedisResultStore, connect_redis_result_store
from shared.domain.job import JobId
from shared.domain.result import dump_result
from shared.ports import Begun, Finished, Pending, Reserved, ResultWatch, StoreUnavailable
from tests.conftest import missing
from tests.contract.eventually import eventually
from tests.contract.examples import (
    A_CLAIM,
    ANOTHER_CLAIM,
    QUESTION,
    failure_of,
    in_a_minute,
    run_of,
    some_job_id,
    success_of,
)
from tests.contract.result_stores import RETENTION
from tests.support.availability import Unavailable
from tests.support.redis_process import RedisBinary, RedisServer
from tests.support.redis_servers import redis_binary, valkey_binary
from tests.support.server import AnyRedis
from tests.support.tcp_proxy import TcpProxy

LEASE = 60.0
PROMPTLY = 10.0
"""Seconds: far more than it takes, far less than anybody would wait."""


@pytest.fixture(params=[redis_binary, valkey_binary], ids=["redis", "valkey"])
def own_server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A server to kill; it comes back empty."""
    find: Callable[[], RedisBinary] = request.param
    try:
        binary = find()
    except Unavailable as reason:
        missing(str(reason))
    with RedisServer(binary) as server:
        yield server


@asynccontextmanager
async def two_stores(
    url: str, timeout_seconds: float = 2.0
) -> AsyncIterator[tuple[RedisResultStore, RedisResultStore]]:
    """A gateway's and a worker's."""
    connect = partial(
        connect_redis_result_store,
        url,
        max_connections=10,
        retention=RETENTION,
        timeout_seconds=timeout_seconds,
    )
    async with connect() as gateway, connect() as worker:
        yield gateway, worker


# --- The message ---


async def test_a_message_wakes_without_a_look_at_what_is_stored(redis_server: AnyRedis) -> None:
    # Given a wait, and a store that listens on a channel of its own
    job_id = some_job_id()
    async with Redis.from_url(redis_server.url) as client:
        before = await channels(client)
        async with connect_redis_result_store(
            redis_server.url, max_connections=10, retention=RETENTION
        ) as store:
            [channel] = await eventually(lambda: new_channels(client, before))
            with store.watch(job_id) as watch:
                # When a result is told there that is stored nowhere
                notice = f"{job_id.owner}\n{job_id.request_id}\n".encode()
                await client.publish(channel, notice + dump_result(success_of(job_id)))
                # Then the wait ends with it
                assert await woken(watch) == success_of(job_id)


@pytest.mark.parametrize("way", ["reserves", "joins", "looks"])
async def test_only_a_gateway_that_waits_is_told(redis_server: AnyRedis, way: str) -> None:
    # Given somebody who hears every channel, a job that nobody waits for, and one that a gateway waits for,
    # whichever way it came to know it
    unwatched, awaited = some_job_id(), some_job_id()
    async with (
        Redis.from_url(redis_server.url) as client,
        two_stores(redis_server.url) as (gateway, worker),
        client.pubsub() as everything,
    ):
        await everything.psubscribe("llm:results:*")
        assert (await next_message(everything))["type"] == "psubscribe"
        await gateway.reserve(unwatched, QUESTION, A_CLAIM, in_a_minute())
        if way != "reserves":
            await worker.reserve(awaited, QUESTION, A_CLAIM, in_a_minute())
        with gateway.watch(awaited) as watch:
            if way == "looks":
                await gateway.get(awaited)
            else:
                await gateway.reserve(awaited, QUESTION, ANOTHER_CLAIM, in_a_minute())
            # When both end
            for job_id in (unwatched, awaited):
                await end(worker, job_id)
            assert await woken(watch) == success_of(awaited)
        # Then nothing was told before the one that is waited for, which ended last
        assert awaited.request_id.encode() in (await next_message(everything))["data"]


async def test_killed_subscriptions_strand_nobody(redis_server: AnyRedis) -> None:
    # Given two hundred waits
    job_ids = [some_job_id() for _ in range(200)]
    async with (
        Redis.from_url(redis_server.url) as client,
        two_stores(redis_server.url) as (gateway, worker),
        AsyncExitStack() as stack,
    ):
        watches = [stack.enter_context(gateway.watch(job_id)) for job_id in job_ids]
        for job_id in job_ids:
            await gateway.reserve(job_id, QUESTION, A_CLAIM, in_a_minute())
        waits = asyncio.gather(*(woken(watch) for watch in watches))
        # When the subscriptions are killed again and again while the jobs end
        kills = 0
        for number, job_id in enumerate(job_ids):
            if number % 10 == 0:
                kills += await client.client_kill_filter(_type="pubsub")
            await end(worker, job_id)
        # Then every wait has its own result
        assert kills > 0
        assert await waits == [success_of(job_id) for job_id in job_ids]


async def test_a_sweep_before_the_id_is_reserved_again_does_not_wake_with_the_old_failure(
    redis_server: AnyRedis,
) -> None:
    # Given a failure that may pass, and a caller who asks again: it watches, and a sweep passes by
    job_id = some_job_id()
    async with two_stores(redis_server.url) as (gateway, worker):
        await gateway.reserve(job_id, QUESTION, A_CLAIM, in_a_minute())
        run = run_of(job_id)
        await worker.begin(run, LEASE, in_a_minute())
        await worker.save(run, failure_of(job_id))
        with gateway.watch(job_id) as watch:
            await gateway.sweep()
            reserved = await gateway.reserve(job_id, QUESTION, ANOTHER_CLAIM, in_a_minute())
            assert reserved == Reserved()
            # When the new run succeeds, then the caller gets that
            await end(worker, job_id)
            assert await woken(watch) == success_of(job_id)


async def test_a_sweep_in_the_same_round_trip_as_the_reservation_does_not_wake_with_the_old_failure(
    redis_server: AnyRedis,
) -> None:
    # Given a failure that may pass, and a gateway whose connection is slow
    job_id = some_job_id()
    port = int(redis_server.url.split(":")[2].split("/")[0])
    async with (
        TcpProxy("127.0.0.1", port) as proxy,
        two_stores(f"redis://127.0.0.1:{proxy.port}/0", timeout_seconds=10) as (gateway, worker),
    ):
        await gateway.reserve(job_id, QUESTION, A_CLAIM, in_a_minute())
        run = run_of(job_id)
        await worker.begin(run, LEASE, in_a_minute())
        await worker.save(run, failure_of(job_id))
        with gateway.watch(job_id) as watch:
            # When a sweep and a new reservation gather behind a command that is under way
            proxy.blackhole()
            ahead = asyncio.create_task(gateway.get(some_job_id()))
            await as_far_as_they_get()
            sweeping = asyncio.create_task(gateway.sweep())
            await as_far_as_they_get()
            reserving = asyncio.create_task(gateway.reserve(job_id, QUESTION, ANOTHER_CLAIM, in_a_minute()))
            await as_far_as_they_get()
            proxy.heal()
            await asyncio.gather(ahead, sweeping)
            assert await reserving == Reserved()
            # And the new run succeeds, then the caller gets that
            await end(worker, job_id)
            assert await woken(watch) == success_of(job_id)


async def as_far_as_they_get() -> None:
    """Every task runs until it waits for the network."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_result_whose_message_got_lost_is_found(redis_server: AnyRedis) -> None:
    # Given a wait
    job_id = some_job_id()
    async with Redis.from_url(redis_server.url) as client, two_stores(redis_server.url) as (gateway, _):
        with gateway.watch(job_id) as watch:
            await gateway.reserve(job_id, QUESTION, A_CLAIM, in_a_minute())
            # When the result is stored and nobody is told, then it is found all the same
            await store_silently(client, job_id, dump_result(success_of(job_id)))
            assert await woken(watch) == success_of(job_id)


async def test_a_result_that_cannot_be_read_strands_only_who_waits_for_it(redis_server: AnyRedis) -> None:
    # Given two waits
    newer, usual = some_job_id(), some_job_id()
    async with (
        Redis.from_url(redis_server.url) as client,
        two_stores(redis_server.url) as (gateway, _),
    ):
        with gateway.watch(newer), gateway.watch(usual) as watch:
            for job_id in (newer, usual):
                await gateway.reserve(job_id, QUESTION, A_CLAIM, in_a_minute())
            # When the first ends with a result that this version does not know, the other as usual, and the
            # messages get lost
            await store_silently(client, newer, b'{"status": "succeeded_twice"}')
            await store_silently(client, usual, dump_result(success_of(usual)))
            # Then the other wait ends
            assert await woken(watch, within_seconds=2) == success_of(usual)


async def store_silently(client: Redis, job_id: JobId, result: bytes) -> None:
    await client.hset(await key_of(client, job_id), "res", result)


async def key_of(client: Redis, job_id: JobId) -> str:
    [key] = [key async for key in client.scan_iter(f"*{job_id.request_id}*")]
    return str(key, "utf-8")


# --- Many in one round trip ---


async def test_a_step_that_redis_refuses_fails_alone(redis_server: AnyRedis) -> None:
    # Given a job whose key is spoilt
    spoilt, others = some_job_id(), [some_job_id() for _ in range(20)]
    async with Redis.from_url(redis_server.url) as client, two_stores(redis_server.url) as (gateway, _):
        for job_id in (spoilt, *others):
            await gateway.reserve(job_id, QUESTION, A_CLAIM, in_a_minute())
        await client.set(await key_of(client, spoilt), "not a hash")
        # When it is looked at together with others
        looks = [gateway.get(job_id) for job_id in (*others[:10], spoilt, *others[10:])]
        answers = await asyncio.gather(*looks, return_exceptions=True)
        # Then it alone fails
        assert isinstance(answers.pop(10), StoreUnavailable)
        assert [type(answer) for answer in answers] == [Pending] * len(others)


async def test_a_caller_who_leaves_does_not_disturb_the_others(redis_server: AnyRedis) -> None:
    # Given many callers who reserve at once
    async with two_stores(redis_server.url) as (gateway, _):
        callers = [
            asyncio.create_task(gateway.reserve(some_job_id(), QUESTION, A_CLAIM, in_a_minute()))
            for _ in range(100)
        ]
        # When every other one leaves before the answer
        await asyncio.sleep(0)
        for caller in callers[::2]:
            caller.cancel()
        # Then those who stay have theirs
        assert await asyncio.gather(*callers[1::2]) == [Reserved()] * 50
        await asyncio.gather(*callers, return_exceptions=True)


# --- Redis away ---


async def test_a_killed_redis_is_said_promptly_and_is_used_again_when_it_is_back(
    own_server: RedisServer,
) -> None:
    # Given a store in use, with waits held
    waits = [some_job_id() for _ in range(20)]
    async with two_stores(own_server.url) as (gateway, worker), AsyncExitStack() as stack:
        for job_id in waits:
            stack.enter_context(gateway.watch(job_id))
            await gateway.reserve(job_id, QUESTION, A_CLAIM, in_a_minute())
        # When Redis is killed, then every step says so, promptly
        own_server.kill()
        await expect_unavailable(gateway, worker)
        # And when it is back, empty, then the same store objects serve new jobs, waits included
        own_server.restart()
        await eventually(gateway.is_available)
        await eventually(worker.is_available)
        assert await gateway.get(waits[0]) is None
        job_id = some_job_id()
        with gateway.watch(job_id) as watch:
            await gateway.reserve(job_id, QUESTION, A_CLAIM, in_a_minute())
            await end(worker, job_id)
            assert await woken(watch) == success_of(job_id)


async def test_a_frozen_redis_is_said_promptly_and_is_used_again_when_it_thaws(
    own_server: RedisServer,
) -> None:
    # Given a store in use
    async with two_stores(own_server.url, timeout_seconds=0.5) as (gateway, worker):
        job_id = some_job_id()
        await gateway.reserve(job_id, QUESTION, A_CLAIM, in_a_minute())
        # When Redis keeps its connections and answers nothing
        own_server.pause()
        try:
            # Then every step says so, promptly
            await expect_unavailable(gateway, worker)
        finally:
            own_server.resume()
        # And when it thaws, then what it knew is known
        await eventually(gateway.is_available)
        assert isinstance(await gateway.get(job_id), Pending)


async def test_a_run_from_before_the_restart_still_stores_and_wakes_who_waited_all_along(
    own_server: RedisServer,
) -> None:
    # Given a job that runs, and a caller who waits
    job_id = some_job_id()
    run = run_of(job_id)
    async with two_stores(own_server.url) as (gateway, worker):
        with gateway.watch(job_id) as watch:
            await gateway.reserve(job_id, QUESTION, A_CLAIM, in_a_minute())
            assert isinstance(await worker.begin(run, LEASE, in_a_minute()), Begun)
            waiting = asyncio.create_task(woken(watch))
            # When Redis is killed and comes back empty, and the run ends
            own_server.kill()
            own_server.restart()
            await eventually(worker.is_available)
            assert (await worker.renew([run], LEASE)).lost == []
            assert await worker.save(run, success_of(job_id)) == success_of(job_id)
            # Then the paid answer is stored, and the caller has it
            assert await waiting == success_of(job_id)
        assert await gateway.get(job_id) == Finished(success_of(job_id))


async def test_a_renewal_that_failed_gives_its_connection_back(own_server: RedisServer) -> None:
    # Given a store with one connection, and a run
    async with connect_redis_result_store(
        own_server.url, max_connections=1, retention=RETENTION, timeout_seconds=0.3
    ) as store:
        run = run_of(some_job_id())
        await store.begin(run, LEASE, in_a_minute())
        # When the run is renewed while Redis is frozen
        own_server.pause()
        try:
            with pytest.raises(StoreUnavailable):
                await store.renew([run], LEASE)
        finally:
            own_server.resume()
        # Then the connection is there when Redis answers again
        await eventually(store.is_available, within_seconds=5)


async def expect_unavailable(gateway: RedisResultStore, worker: RedisResultStore) -> None:
    job_id = some_job_id()
    run = run_of(job_id)
    steps: list[Callable[[], Awaitable[object]]] = [
        lambda: gateway.reserve(job_id, QUESTION, A_CLAIM, in_a_minute()),
        lambda: gateway.release(job_id, A_CLAIM),
        lambda: gateway.get(job_id),
        lambda: worker.begin(run, LEASE, in_a_minute()),
        lambda: worker.renew([run], LEASE),
        lambda: worker.save(run, success_of(job_id)),
    ]
    async with asyncio.timeout(PROMPTLY):
        answers = await asyncio.gather(*(step() for step in steps), return_exceptions=True)
        assert [type(answer) for answer in answers] == [StoreUnavailable] * len(steps)
        assert not await gateway.is_available()


async def end(worker: RedisResultStore, job_id: JobId) -> None:
    run = run_of(job_id)
    assert isinstance(await worker.begin(run, LEASE, in_a_minute()), Begun)
    assert await worker.save(run, success_of(job_id)) == success_of(job_id)


async def woken(watch: ResultWatch, within_seconds: float = 30) -> object:
    async with asyncio.timeout(within_seconds):
        return await watch.result()


async def next_message(subscription: PubSub) -> dict[str, Any]:
    message: dict[str, Any] = await eventually(lambda: subscription.get_message(timeout=1))
    return message


async def channels(client: Redis) -> set[bytes | str]:
    return set(await client.pubsub_channels("llm:results:*"))


async def new_channels(client: Redis, before: set[bytes | str]) -> set[bytes | str]:
    return await channels(client) - before
