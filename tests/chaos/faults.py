"""The faults. Each waits until the service is busy, strikes, and repairs what an operator would."""

import asyncio
from dataclasses import replace

from tests.chaos.deployment import PARTITIONS
from tests.chaos.evidence import Strike
from tests.chaos.scene import Scene, now
from tests.support.apache_kafka import ApacheKafka
from tests.support.redis_process import RedisServer

_LOOK_SECONDS = 0.5
_DRAIN_SECONDS = 120.0
_FREEZE_SECONDS = 8.0
_OUTAGE_SECONDS = 5.0


async def kill_worker(scene: Scene) -> Strike:
    """kill -9 of one of two workers. Its replacement comes when the other has taken over, so that there are
    two rebalances, and the second one hands running jobs to a worker that does not run them."""
    await scene.until_busy()
    survivor, victim = scene.deployment.workers
    at = now()
    victim.child.kill()
    strike = await scene.struck(at, victim=victim, may_repeat=True)
    while survivor.partitions() < PARTITIONS:
        await asyncio.sleep(_LOOK_SECONDS)
    scene.say(f"{survivor.name} has taken over")
    await _replace_worker(scene)
    return strike


async def roll_worker(scene: Scene) -> Strike:
    """SIGTERM of one of two workers and its replacement at once, as a rolling restart does."""
    await scene.until_busy()
    victim = scene.deployment.workers[-1]
    at = now()
    leaving = asyncio.create_task(asyncio.to_thread(victim.child.terminate, _DRAIN_SECONDS))
    strike = await scene.struck(at, victim=victim)
    await _replace_worker(scene)
    exit_code = await leaving
    scene.say(f"{victim.name} left after {now() - at:.1f} s with exit code {exit_code}")
    return replace(strike, exit_code=exit_code)


async def freeze_worker(scene: Scene) -> Strike:
    """SIGSTOP for longer than lease and session, then SIGCONT: the worker goes on as if nothing had been."""
    await scene.until_busy()
    victim = scene.deployment.workers[-1]
    at = now()
    victim.child.pause()
    strike = await scene.struck(at, victim=victim, may_repeat=True)
    session_seconds = float(scene.plan.settings["WORKER_SESSION_TIMEOUT_SECONDS"])
    await asyncio.sleep(session_seconds + _FREEZE_SECONDS)
    victim.child.resume()
    scene.say(f"{victim.name} goes on")
    return strike


async def kill_gateway(scene: Scene) -> Strike:
    """kill -9 of one of two gateways; whoever waited there asks the other one with the same id."""
    await scene.until_busy()
    at = now()
    scene.deployment.gateways[-1].child.kill()
    return await scene.struck(at)


async def pause_redis(scene: Scene) -> Strike:
    """Redis answers nobody for a while."""
    redis = scene.deployment.surroundings.redis
    assert isinstance(redis, RedisServer), "needs a Redis of its own"
    await scene.until_busy()
    at = now()
    redis.pause()
    strike = await scene.struck(at)
    await asyncio.sleep(_OUTAGE_SECONDS)
    redis.resume()
    scene.say("Redis answers again")
    return replace(strike, over_at=now())


async def kill_broker(scene: Scene) -> Strike:
    """kill -9 of the only Kafka node, which comes back with the data it had."""
    kafka = scene.deployment.surroundings.kafka
    assert isinstance(kafka, ApacheKafka), "needs a Kafka of its own"
    await scene.until_busy()
    at = now()
    kafka.kill_node()
    strike = await scene.struck(at)
    await asyncio.sleep(_OUTAGE_SECONDS)
    await asyncio.to_thread(kafka.start_node)
    scene.say("Kafka is back")
    return replace(strike, over_at=now())


async def _replace_worker(scene: Scene) -> None:
    worker = await asyncio.to_thread(scene.deployment.start_worker)
    scene.say(f"{worker.name} has joined with {worker.partitions()} partitions")
