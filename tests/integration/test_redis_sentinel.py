"""The store stays with the master, whichever server that is, and says why while there is none."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from shared.adapters.redis_connections import connect_redis
from shared.adapters.redis_result_store import RedisResultStore, connect_redis_result_store
from shared.domain.job import JobId
from shared.domain.result import dump_result
from shared.ports import Begun, Conflicting, Finished, Pending, Reserved, StoreUnavailable
from shared.redis_url import with_tls_files
from shared.tls_files import TlsFiles
from tests.conftest import missing
from tests.contract.eventually import eventually
from tests.contract.examples import (
    A_CLAIM,
    ANOTHER_CLAIM,
    ANOTHER_QUESTION,
    QUESTION,
    in_a_minute,
    run_of,
    some_job_id,
    success_of,
)
from tests.contract.result_stores import RETENTION
from tests.support.availability import Unavailable
from tests.support.certificates import TestAuthority
from tests.support.redis_acl import with_least_rights
from tests.support.redis_process import RedisBinary, RedisServer
from tests.support.redis_sentinel import MASTER, SentinelRedis
from tests.support.redis_servers import any_binary, redis_binary, valkey_binary
from tests.support.tls_sentinel import TlsSentinelRedis

LEASE = 60.0
BOTH = pytest.mark.parametrize(
    "binary", [redis_binary, valkey_binary], ids=["redis", "valkey"], indirect=True
)


@pytest.fixture
def binary(request: pytest.FixtureRequest) -> RedisBinary:
    """Either of the two, unless a test asks for both."""
    find: Callable[[], RedisBinary] = getattr(request, "param", any_binary)
    try:
        return find()
    except Unavailable as reason:
        missing(str(reason))


@pytest.fixture
def deployment(binary: RedisBinary) -> Iterator[SentinelRedis]:
    with SentinelRedis(binary) as deployment:
        yield deployment


@pytest.fixture
def server(binary: RedisBinary) -> Iterator[RedisServer]:
    with RedisServer(binary) as server:
        yield server


@asynccontextmanager
async def open_store(url: str, timeout_seconds: float = 2.0) -> AsyncIterator[RedisResultStore]:
    async with connect_redis_result_store(
        url, max_connections=10, retention=RETENTION, timeout_seconds=timeout_seconds
    ) as store:
        yield store


# --- Failover ---


@BOTH
async def test_jobs_and_waits_go_on_with_the_new_master_when_the_old_one_is_killed(
    deployment: SentinelRedis,
) -> None:
    # Given a finished job, a job that runs, and a caller who waits for it
    finished, running = some_job_id(), some_job_id()
    run = run_of(running)
    old = deployment.master()
    async with open_store(deployment.url) as gateway, open_store(deployment.url) as worker:
        await live(gateway, worker, finished)
        with gateway.watch(running) as watch:
            await gateway.reserve(running, QUESTION, A_CLAIM, in_a_minute())
            await worker.begin(run, LEASE, in_a_minute())
            await is_replicated(old)
            # When the master is killed
            old.kill()
            # Then the store says so until there is another one
            with pytest.raises(StoreUnavailable):
                await gateway.get(finished)
            new = await asyncio.to_thread(deployment.wait_for_failover, old)
            # And from then on nothing is missing: what was known is known, the run ends, its caller is woken
            assert await gateway.get(finished) == Finished(success_of(finished))
            assert (await worker.renew([run], LEASE)).lost == []
            assert await worker.save(run, success_of(running)) == success_of(running)
            assert await asyncio.wait_for(watch.result(), 10) == success_of(running)
        # And new jobs live as ever, told by message too
        await live(gateway, worker, some_job_id())
        await expect_messages_from(new, gateway)


async def test_a_frozen_master_is_left_by_commands_and_by_who_listens(deployment: SentinelRedis) -> None:
    # Given a store in use
    old = deployment.master()
    async with open_store(deployment.url, timeout_seconds=1) as store:
        await live(store, store, some_job_id())
        # When the master freezes, with every connection open, and is replaced
        old.pause()
        try:
            new = await asyncio.to_thread(deployment.wait_for_failover, old)
            # Then the store works with the new one, and listens there, while the old one is still frozen
            await eventually(store.is_available)
            await live(store, store, some_job_id())
            await expect_messages_from(new, store)
        finally:
            old.resume()


async def test_a_planned_failover_is_followed(deployment: SentinelRedis) -> None:
    # Given a store in use
    old = deployment.master()
    async with open_store(deployment.url) as store, Redis(port=deployment.sentinel_ports[0]) as sentinel:
        await live(store, store, some_job_id())
        # When an operator makes the replica the master; the old one lives on
        await sentinel.sentinel_failover(MASTER)
        new = await asyncio.to_thread(deployment.wait_for_failover, old)
        # Then the store works with the new one, and listens there
        await eventually(store.is_available)
        await live(store, store, some_job_id())
        await expect_messages_from(new, store)


async def test_what_one_connection_learns_moves_all_of_them(deployment: SentinelRedis) -> None:
    # Given many connections and a subscription
    old, new = deployment.servers
    async with (
        connect_redis(deployment.url, max_connections=5, timeout_seconds=2) as (client, listener),
        Redis.from_url(old.url) as operator,
        listener.pubsub(ignore_subscribe_messages=True) as subscription,
    ):
        assert isinstance(client, Redis)
        assert await ports_of_five_connections(client) == {old.port}
        await subscription.subscribe("anything")
        # When sentinels are told of another master, and one connection to the old one, which lives, is cut
        await point_sentinels_to(new, deployment)
        *_, cut = [one["id"] for one in await operator.client_list() if one["cmd"] == "config|get"]
        await operator.client_kill_filter(_id=cut)
        await ports_of_five_connections(client)
        # Then all commands go to the new one, and the subscription ends
        assert await ports_of_five_connections(client) == {new.port}
        with pytest.raises(RedisConnectionError, match="no master any more"):
            await listen(lambda: subscription.get_message(timeout=0.2))


async def ports_of_five_connections(client: Redis) -> set[int]:
    told = await asyncio.gather(*(client.config_get("port") for _ in range(5)))
    return {int(one["port"] or 0) for one in told}


async def point_sentinels_to(server: RedisServer, deployment: SentinelRedis) -> None:
    async with Redis.from_url(server.url) as client:
        await client.replicaof("NO", "ONE")
    for port in deployment.sentinel_ports:
        async with Redis(port=port) as sentinel:
            await sentinel.sentinel_remove(MASTER)
            await sentinel.sentinel_monitor(MASTER, "127.0.0.1", server.port, 2)


# --- Sentinels ---


async def test_dead_sentinels_are_passed_over(deployment: SentinelRedis) -> None:
    # Given a dead sentinel and a frozen one, named first
    deployment.sentinels[0].kill()
    deployment.sentinels[1].pause()
    # When a store is opened, then it works
    async with open_store(deployment.url) as store:
        await live(store, store, some_job_id())


async def test_a_sentinel_with_a_password_of_its_own_is_told_it(deployment: SentinelRedis) -> None:
    # Given a sentinel that wants a password, before a Redis that wants none
    port = deployment.sentinel_ports[0]
    async with Redis(port=port) as sentinel:
        await sentinel.acl_setuser("default", enabled=True, passwords=["+secret"])
    # When the address holds it, then the store works
    url = f"redis+sentinel://127.0.0.1:{port}/{MASTER}"
    async with open_store(f"{url}?sentinel_password=secret") as store:
        await live(store, store, some_job_id())
    # And without it, the reason is said
    async with open_store(url) as store:
        with pytest.raises(StoreUnavailable, match="AuthenticationError"):
            await store.get(some_job_id())


async def test_a_master_that_no_sentinel_knows_is_named(deployment: SentinelRedis) -> None:
    # Given a store for another master
    async with open_store(deployment.url.replace(MASTER, "nobody")) as store:
        # When it is used, then it says which one it looks for, and what the sentinels said
        with pytest.raises(
            StoreUnavailable, match=r"no sentinel knows the master 'nobody': .*No such master"
        ):
            await store.get(some_job_id())


async def test_a_replica_that_a_sentinel_takes_for_the_master_is_not_used(deployment: SentinelRedis) -> None:
    # Given a sentinel that has not seen the failover: to it, the replica is the master
    port = deployment.sentinel_ports[0]
    _, replica = deployment.servers
    async with Redis(port=port) as sentinel:
        await sentinel.sentinel_monitor("stale", "127.0.0.1", replica.port, 2)
    async with open_store(f"redis+sentinel://127.0.0.1:{port}/stale") as store:
        # When the store reads, then it gets no old answers
        with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{replica.port} is a replica"):
            await store.get(some_job_id())


# --- One Redis, refusing or silent ---


async def test_a_server_that_became_a_replica_is_left(server: RedisServer) -> None:
    # Given a store in use
    async with open_store(server.url) as store, Redis.from_url(server.url) as operator:
        await live(store, store, some_job_id())
        before = await command_connections(operator)
        # When its server becomes a replica
        await operator.replicaof("127.0.0.1", "1")
        # Then writing says so, on connections that are not used again: its name may lead elsewhere now
        with pytest.raises(StoreUnavailable, match="is no master"):
            await store.reserve(some_job_id(), QUESTION, A_CLAIM, in_a_minute())
        assert not before & await command_connections(operator)
        # And it works again when it is the master again
        await operator.replicaof("NO", "ONE")
        await live(store, store, some_job_id())


@pytest.mark.parametrize(
    "step",
    ["reserve", "begin", "save"],
)
async def test_a_full_redis_says_why_it_refuses(server: RedisServer, step: str) -> None:
    # Given a Redis that is full and evicts nothing
    async with open_store(server.url) as store, Redis.from_url(server.url) as operator:
        await operator.config_set("maxmemory", 1)
        # When something is to be stored, then the store says what it lacks
        with pytest.raises(StoreUnavailable, match="maxmemory"):
            await take(store, step)
        # And it works again when there is room
        await operator.config_set("maxmemory", 0)
        await live(store, store, some_job_id())


async def take(store: RedisResultStore, step: str) -> None:
    job_id = some_job_id()
    match step:
        case "reserve":
            await store.reserve(job_id, QUESTION, A_CLAIM, in_a_minute())
        case "begin":
            await store.begin(run_of(job_id), LEASE, in_a_minute())
        case "save":
            await store.save(run_of(job_id), success_of(job_id))


async def test_a_redis_that_cannot_save_says_why_it_refuses(server: RedisServer) -> None:
    # Given a Redis whose disk is gone
    async with open_store(server.url) as store, Redis.from_url(server.url) as operator:
        folder = (await operator.config_get("dir"))["dir"]
        assert folder
        shutil.rmtree(folder)
        try:
            await operator.config_set("save", "3600 1")
            await operator.bgsave()
            await eventually(lambda: has_failed_to_save(operator))
            # When something is to be stored, then the store says so
            with pytest.raises(StoreUnavailable, match="MISCONF"):
                await take(store, "begin")
        finally:
            Path(folder).mkdir()  # for the server's end  # noqa: ASYNC240


async def test_who_listens_leaves_a_server_that_says_nothing(server: RedisServer) -> None:
    # Given a subscription
    async with connect_redis(server.url, max_connections=1, timeout_seconds=1) as (_, listener):
        async with listener.pubsub(ignore_subscribe_messages=True) as subscription:
            await subscription.subscribe("anything")
            # When the server freezes, then listening ends, although the connection is open
            server.pause()
            with pytest.raises((RedisConnectionError, RedisTimeoutError), match=r"silent|says nothing"):
                await listen(lambda: subscription.get_message(timeout=0.2))
        # And connecting anew does not wait for it either
        with pytest.raises(RedisTimeoutError, match="says nothing"):
            await asyncio.wait_for(listener.ping(), 10)
        server.resume()


async def test_who_listens_stays_with_a_server_that_has_nothing_to_say(server: RedisServer) -> None:
    # Given a subscription on which nothing ever comes
    async with (
        connect_redis(server.url, max_connections=1, timeout_seconds=1) as (_, listener),
        listener.pubsub(ignore_subscribe_messages=True) as subscription,
    ):
        await subscription.subscribe("anything")
        # When it is listened to for longer than silence is borne, then nothing happens
        with pytest.raises(TimeoutError):
            await listen(lambda: subscription.get_message(timeout=0.2), seconds=8)


async def listen(get_message: Callable[[], Awaitable[object]], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while True:
            assert await get_message() is None


async def live(gateway: RedisResultStore, worker: RedisResultStore, job_id: JobId) -> None:
    """A whole life of a job, as the store's contract has it."""
    run = run_of(job_id)
    with gateway.watch(job_id) as watch:
        assert await gateway.reserve(job_id, QUESTION, A_CLAIM, in_a_minute()) == Reserved()
        again = await gateway.reserve(job_id, QUESTION, ANOTHER_CLAIM, in_a_minute())
        assert isinstance(again, Pending)
        other = await gateway.reserve(job_id, ANOTHER_QUESTION, ANOTHER_CLAIM, in_a_minute())
        assert other == Conflicting()
        assert isinstance(await worker.begin(run, LEASE, in_a_minute()), Begun)
        assert (await worker.renew([run], LEASE)).lost == []
        assert await worker.save(run, success_of(job_id)) == success_of(job_id)
        assert await asyncio.wait_for(watch.result(), 10) == success_of(job_id)
    assert await gateway.get(job_id) == Finished(success_of(job_id))


async def expect_messages_from(server: RedisServer, store: RedisResultStore) -> None:
    """A message on every channel there wakes, although nothing is stored."""
    job_id = some_job_id()
    notice = f"{job_id.owner}\n{job_id.request_id}\n".encode() + dump_result(success_of(job_id))
    async with Redis.from_url(server.url) as client:
        with store.watch(job_id) as watch:

            async def is_woken() -> bool:
                for channel in await client.pubsub_channels("llm:results:*"):
                    await client.publish(channel, notice)
                return told.done()

            told = asyncio.create_task(watch.result())
            await eventually(is_woken)
            assert await told == success_of(job_id)


async def is_replicated(master: RedisServer) -> None:
    async with Redis.from_url(master.url) as client:
        assert await eventually(lambda: client.wait(1, 1000)) == 1


async def command_connections(operator: Redis) -> set[str]:
    return {client["id"] for client in await operator.client_list() if client["cmd"] == "evalsha"}


async def has_failed_to_save(operator: Redis) -> bool:
    return bool((await operator.info("persistence"))["rdb_last_bgsave_status"] == "err")


async def test_sentinels_and_servers_that_want_certificates_and_give_the_least_rights(tmp_path: Path) -> None:
    try:
        binary = redis_binary()
    except Unavailable as reason:
        missing(str(reason))
    authority = TestAuthority(tmp_path / "authority")
    certificate, key = authority.issue("client")
    files = TlsFiles("REDIS_SSL", str(authority.ca), str(certificate), str(key))
    with TlsSentinelRedis(binary, authority) as deployment:
        for server in deployment.servers:
            with_least_rights(server.url)
        url = with_tls_files(deployment.tls_url("llm", "CANARY-secret"), files)
        async with open_store(url) as gateway, open_store(url) as worker:
            await live(gateway, worker, some_job_id())
