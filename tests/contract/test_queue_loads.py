"""What workers say of their load, over a real Redis."""

import asyncio
from uuid import uuid4

from redis.asyncio import Redis

from shared.adapters.redis_batches import RedisBatches
from shared.adapters.redis_queue_loads import RedisQueueLoads
from shared.domain.queue_load import QueueLoad, WorkerLoad

FEW = WorkerLoad(waiting=3, running=2, run_seconds=0.5)
MANY = WorkerLoad(waiting=40, running=4, run_seconds=4.0)


async def test_the_last_word_of_every_worker_counts(batches: RedisBatches) -> None:
    loads = RedisQueueLoads(batches, uuid4().hex)
    assert await loads.read() is None
    await loads.tell("a", MANY)
    await loads.tell("a", FEW)
    await loads.tell("b", MANY)
    assert await loads.read() == QueueLoad(lag=43, running=6, drain_per_second=5)


async def test_a_worker_that_says_nothing_more_is_forgotten(client: Redis, batches: RedisBatches) -> None:
    topic = uuid4().hex
    loads = RedisQueueLoads(batches, topic, fresh_seconds=0.2)
    await loads.tell("gone", MANY)
    assert 0 < await client.pttl(f"llm:load:{topic}") <= 200
    async with asyncio.timeout(10):
        while True:  # the other goes on
            await loads.tell("staying", FEW)
            if await loads.read() == QueueLoad(lag=3, running=2, drain_per_second=4):
                break
    assert await client.hkeys(f"llm:load:{topic}") == [b"staying"]
    async with asyncio.timeout(10):
        while await loads.read() is not None:
            await asyncio.sleep(0)


async def test_a_word_that_is_none_is_left_out(client: Redis, batches: RedisBatches) -> None:
    topic = uuid4().hex
    loads = RedisQueueLoads(batches, topic)
    await loads.tell("a", FEW)
    seconds, _ = await client.time()
    await client.hset(f"llm:load:{topic}", "new", f'{seconds * 1000} {{"waiting": "much"}}')
    assert await loads.read() == QueueLoad(lag=3, running=2, drain_per_second=4)
