"""What replicas say of themselves, in memory and over a real Redis."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from shared.adapters.memory_replicas import MemoryReplicas
from shared.adapters.redis_batches import RedisBatches
from shared.adapters.redis_replicas import RedisReplicas
from shared.domain.replica import FRESH_SECONDS, Replica, ReplicaReport, unwell_first
from shared.ports import Replicas
from shared.replica_telling import told_of

WELL = ReplicaReport(
    kind="worker",
    name="pod-1:7",
    version="1.0.0",
    started_at=datetime.now(UTC),
    state="well",
    busy=3,
    room=1000,
)
LEAVING = WELL.model_copy(update={"name": "pod-2:7", "state": "leaving"})


@pytest.fixture(params=["memory", "redis"])
def replicas(request: pytest.FixtureRequest, batches: RedisBatches) -> Replicas:
    if request.param == "memory":
        return MemoryReplicas()
    return RedisReplicas(batches, uuid4().hex)


async def test_the_last_word_of_each_is_told_with_its_age(replicas: Replicas) -> None:
    assert await replicas.read() == []
    await replicas.tell("a", LEAVING)
    await replicas.tell("a", WELL)
    await replicas.tell("b", LEAVING)
    told = unwell_first(await replicas.read())
    assert [replica.report for replica in told] == [LEAVING, WELL]
    assert all(0 <= replica.silent_seconds < FRESH_SECONDS for replica in told)


async def test_who_leaves_is_not_missed(replicas: Replicas) -> None:
    await replicas.tell("a", WELL)
    await replicas.tell("b", LEAVING)
    await replicas.leave("a")
    await replicas.leave("nobody")
    assert [replica.report for replica in await replicas.read()] == [LEAVING]


async def test_who_runs_tells_until_it_ends(replicas: Replicas) -> None:
    busy = iter(range(1, 100))
    async with asyncio.timeout(20), told_of(replicas, lambda: WELL.model_copy(update={"busy": next(busy)})):
        while not any(replica.report.busy == 2 for replica in await replicas.read()):
            await asyncio.sleep(0)
    assert await replicas.read() == []


async def test_who_was_killed_is_silent_and_forgotten_after_a_while(
    client: Redis, batches: RedisBatches
) -> None:
    topic = uuid4().hex
    replicas = RedisReplicas(batches, topic, remembered_seconds=0.3)
    await replicas.tell("killed", WELL)
    async with asyncio.timeout(10):
        while await replicas.read():
            await replicas.tell("alive", LEAVING)
            if [replica.report for replica in await replicas.read()] == [LEAVING]:
                break
    assert await client.hkeys(f"llm:replicas:{topic}") == [b"alive"]
    assert 0 < await client.pttl(f"llm:replicas:{topic}") <= 300
    assert Replica(WELL, FRESH_SECONDS + 0.1).state == "silent"
    assert Replica(WELL, FRESH_SECONDS).state == "well"


async def test_a_word_of_a_newer_version_is_left_out(client: Redis, batches: RedisBatches) -> None:
    topic = uuid4().hex
    replicas = RedisReplicas(batches, topic)
    await replicas.tell("a", WELL)
    seconds, _ = await client.time()
    await client.hset(f"llm:replicas:{topic}", "new", f'{seconds * 1000} {{"kind": "scheduler"}}')
    assert [replica.report for replica in await replicas.read()] == [WELL]
