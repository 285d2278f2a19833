"""A Redis Cluster that loses a master, moves slots and gives few rights: nothing accepted is lost."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from redis import Redis
from redis.crc import key_slot

from shared.adapters.redis_cluster_batches import RedisClusterBatches
from shared.adapters.redis_cluster_keys import tagged
from shared.adapters.redis_result_store import RedisResultStore, connect_redis_result_store, job_key
from shared.domain.job import JobId
from shared.ports import Finished, StoreUnavailable
from tests.conftest import missing
from tests.contract.examples import A_CLAIM, QUESTION, in_a_minute, run_of, some_job_id, success_of
from tests.support.availability import Unavailable
from tests.support.redis_acl import with_least_rights
from tests.support.redis_cluster import RedisCluster
from tests.support.redis_process import DURABLE, RedisBinary
from tests.support.redis_servers import redis_binary, valkey_binary
from worker.redis_store_condition import RedisStoreCondition

RETENTION = timedelta(hours=1)
LEASE = 60.0


@pytest.fixture(params=[redis_binary, valkey_binary], ids=["redis", "valkey"])
def cluster(request: pytest.FixtureRequest) -> Iterator[RedisCluster]:
    find: Callable[[], RedisBinary] = request.param
    try:
        binary = find()
    except Unavailable as reason:
        missing(str(reason))
    with RedisCluster(binary, DURABLE, has_replicas=True) as cluster:
        yield cluster


ONE = pytest.mark.parametrize("cluster", [redis_binary], ids=["redis"], indirect=True)


@asynccontextmanager
async def open_store(url: str) -> AsyncIterator[RedisResultStore]:
    async with connect_redis_result_store(url, max_connections=5, retention=RETENTION) as store:
        yield store


def slot_of(job_id: JobId) -> int:
    return key_slot(tagged((job_key(job_id),))[0].encode())


def job_on(cluster: RedisCluster, number: int) -> JobId:
    """One whose keys are in that third of the slots."""
    while True:
        job_id = some_job_id()
        if slot_of(job_id) * len(cluster.masters) // 16_384 == number:
            return job_id


async def live(store: RedisResultStore, job_id: JobId) -> None:
    run = run_of(job_id)
    await store.reserve(job_id, QUESTION, A_CLAIM, in_a_minute())
    await store.begin(run, LEASE, in_a_minute())
    assert await store.save(run, success_of(job_id)) == success_of(job_id)


async def test_no_accepted_job_is_lost_when_a_master_is_killed(cluster: RedisCluster) -> None:
    old, new = cluster.masters[0], cluster.replicas[0]
    finished, running = job_on(cluster, 0), job_on(cluster, 0)
    run = run_of(running)
    async with open_store(cluster.url) as gateway, open_store(cluster.url) as worker:
        # Given a finished job, one that runs, and a caller who waits for it
        await live(worker, finished)
        with gateway.watch(running) as watch:
            await gateway.reserve(running, QUESTION, A_CLAIM, in_a_minute())
            await worker.begin(run, LEASE, in_a_minute())
            with Redis(port=old.port) as client:
                await asyncio.to_thread(client.wait, 1, 5000)
            condition = RedisStoreCondition(worker.batches, "results")
            before = await condition.read()
            # When their master is killed
            await asyncio.to_thread(cluster.allow_failover, is_allowed=False)
            old.kill()
            # Then the store says that it is not whole
            with pytest.raises(StoreUnavailable):
                await gateway.get(finished)
            assert not await gateway.is_available()
            await asyncio.to_thread(cluster.allow_failover, is_allowed=True)
            await asyncio.to_thread(cluster.wait_for_failover, old, new)
            # And with the replica in its place nothing is missing, and the caller is woken
            async with asyncio.timeout(20):
                while not await gateway.is_available():
                    await asyncio.sleep(0.05)
            assert await gateway.get(finished) == Finished(success_of(finished))
            assert (await worker.renew([run], LEASE)).lost == []
            assert await worker.save(run, success_of(running)) == success_of(running)
            assert await asyncio.wait_for(watch.result(), 10) == success_of(running)
        # And the restorer hears that it is another master, which may lack what the old one had
        assert (await condition.read()).server_run != before.server_run
        assert (await worker.totals())["jobs_succeeded"] == 2


@ONE
async def test_a_frozen_master_is_said_to_be_away_and_its_replica_takes_over(cluster: RedisCluster) -> None:
    old = cluster.masters[0]
    async with open_store(cluster.url) as store:
        finished = job_on(cluster, 0)
        await live(store, finished)
        with Redis(port=old.port) as client:
            await asyncio.to_thread(client.wait, 1, 5000)
        await asyncio.to_thread(cluster.allow_failover, is_allowed=False)
        old.pause()
        with pytest.raises(StoreUnavailable):
            await store.get(finished)
        await asyncio.to_thread(cluster.allow_failover, is_allowed=True)
        await asyncio.to_thread(cluster.wait_for_failover, old, cluster.replicas[0])
        async with asyncio.timeout(20):
            while not await store.is_available():
                await asyncio.sleep(0.05)
        assert await store.get(finished) == Finished(success_of(finished))


@ONE
async def test_a_listener_whose_node_dies_goes_to_another(cluster: RedisCluster) -> None:
    async with open_store(cluster.url) as store, open_store(cluster.url) as other:
        await live(store, job_on(cluster, 0))
        with Redis(port=cluster.masters[0].port) as client:
            heard_there = bool(client.pubsub_channels("llm:results:*"))
        assert heard_there
        cluster.masters[0].kill()
        await asyncio.to_thread(cluster.wait_for_failover, cluster.masters[0], cluster.replicas[0])
        job_id = job_on(cluster, 1)
        with store.watch(job_id) as watch:
            await store.reserve(job_id, QUESTION, A_CLAIM, in_a_minute())
            run = run_of(job_id)
            await other.begin(run, LEASE, in_a_minute())
            await other.save(run, success_of(job_id))
            assert await asyncio.wait_for(watch.result(), 20) == success_of(job_id)


@ONE
async def test_a_slot_that_moves_while_jobs_live_there_is_followed(cluster: RedisCluster) -> None:
    job_id = job_on(cluster, 0)
    source, target = cluster.masters[0], cluster.masters[1]
    slot = slot_of(job_id)
    async with open_store(cluster.url) as store:
        await live(store, job_id)
        with Redis(port=source.port) as old, Redis(port=target.port) as new:
            ids = [client.execute_command("CLUSTER", "MYID").decode() for client in (old, new)]
            new.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
            old.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
            keys = old.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 1000)
            old.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
            # Asked at the old one, which sends to the new one
            assert await store.get(job_id) == Finished(success_of(job_id))
            for client in (new, old):
                client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[1])
        # Moved for good
        assert await store.get(job_id) == Finished(success_of(job_id))
        batches = store.batches
        assert isinstance(batches, RedisClusterBatches)
        assert batches._nodes.of_slot(slot) == ("127.0.0.1", target.port)


@ONE
async def test_the_documented_rights_and_one_more_are_enough(cluster: RedisCluster) -> None:
    for server in cluster.servers:
        with_least_rights(server.url, "+cluster|slots")
    url = cluster.url.replace("://", "://llm:CANARY-secret@")
    async with open_store(url) as store:
        for number in range(3):
            await live(store, job_on(cluster, number))
        assert await store.is_available()
        await RedisStoreCondition(store.batches, "results").read()
        await store.totals()
