"""The faults. Each waits until the service is busy, strikes, and repairs what an operator would."""

import asyncio
from dataclasses import replace

from tests.chaos.deployment import PARTITIONS, Gateway, Worker
from tests.chaos.outage import in_thread, outage
from tests.chaos.scene import Scene, now
from tests.chaos.strike import Departure, Strike
from tests.support.apache_kafka import ApacheKafka
from tests.support.redis_process import RedisServer

_LOOK_SECONDS = 0.5
_DRAIN_SECONDS = 120.0
_FREEZE_SECONDS = 8.0
_OUTAGE_SECONDS = 5.0
_DEFAULT_LEASE_SECONDS = "20"


async def kill_worker(scene: Scene) -> Strike:
    """kill -9 of a worker. Its replacement comes when the others have taken over, so that there are two
    rebalances, and the second one hands running jobs to a worker that does not run them."""
    await scene.until_busy()
    victim = scene.deployment.standing_workers[-1]
    at = now()
    victim.child.kill()
    strike = await scene.struck(at, victim=victim, may_repeat=True)
    await taken_over(scene)
    await _replace_worker(scene)
    return strike


async def roll_worker(scene: Scene) -> Strike:
    """SIGTERM of a worker and its replacement at once, as a rolling restart does."""
    await scene.until_busy()
    return await _roll_worker(scene, scene.deployment.standing_workers[-1])


async def roll_everything(scene: Scene) -> Strike:
    """SIGTERM and replacement of every worker, then of every gateway, one by one."""
    await scene.until_busy()
    workers, gateways = scene.deployment.standing_workers, scene.deployment.standing_gateways
    strikes = [await _roll_worker(scene, worker) for worker in workers]
    exit_codes = [strike.exit_code for strike in strikes]
    exit_codes += [await _roll_gateway(scene, gateway) for gateway in gateways]
    departures = tuple(departure for strike in strikes for departure in strike.departures)
    return replace(strikes[0], departures=departures, exit_code=next(filter(None, exit_codes), 0))


async def freeze_worker(scene: Scene) -> Strike:
    """SIGSTOP for longer than lease and session, then SIGCONT: the worker goes on as if nothing had been."""
    await scene.until_busy()
    victim = scene.deployment.standing_workers[-1]
    settings = scene.plan.settings
    session_seconds = float(settings["WORKER_SESSION_TIMEOUT_SECONDS"])
    lease_seconds = float(settings.get("WORKER_LEASE_SECONDS", _DEFAULT_LEASE_SECONDS))
    at = now()
    victim.child.pause()
    strike = await scene.struck(at, victim=victim, may_repeat=True)
    await asyncio.sleep(max(session_seconds, lease_seconds) + _FREEZE_SECONDS)
    victim.child.resume()
    scene.say(f"{victim.name} goes on")
    return strike


async def kill_gateway(scene: Scene) -> Strike:
    """kill -9 of one of two gateways; whoever waited there asks the other one with the same id."""
    await scene.until_busy()
    at = now()
    victim = scene.deployment.standing_gateways[-1]
    victim.child.kill()
    strike = await scene.struck(at)
    if scene.plan.schedule:  # others will die after it
        await _replace_gateway(scene, victim)
    return strike


async def pause_redis(scene: Scene) -> Strike:
    """Redis answers nobody for a while."""
    redis = scene.deployment.surroundings.redis
    assert isinstance(redis, RedisServer), "needs a Redis of its own"
    steps = in_thread(redis.pause), in_thread(redis.resume)
    return replace(await outage(scene, *steps, _OUTAGE_SECONDS, "Redis answers again"), store_is_away=True)


async def kill_broker(scene: Scene) -> Strike:
    """kill -9 of the only Kafka node, which comes back with the data it had."""
    return await lose_broker(scene, _OUTAGE_SECONDS)


async def lose_broker(scene: Scene, seconds: float) -> Strike:
    """kill -9 of the only Kafka node, and its return with the data it had after `seconds`."""
    kafka = scene.deployment.surroundings.kafka
    assert isinstance(kafka, ApacheKafka), "needs a Kafka of its own"
    steps = in_thread(kafka.kill_node), in_thread(kafka.start_node)
    return await outage(scene, *steps, seconds, "Kafka is back")


async def taken_over(scene: Scene) -> None:
    """Until the workers that stand have all partitions."""
    workers = scene.deployment.standing_workers
    while sum(worker.partitions() for worker in workers) != PARTITIONS:
        await asyncio.sleep(_LOOK_SECONDS)
    scene.say(f"{', '.join(worker.name for worker in workers)} has taken over")


async def _roll_worker(scene: Scene, victim: Worker) -> Strike:
    at = now()
    leaving = asyncio.create_task(asyncio.to_thread(victim.child.terminate, _DRAIN_SECONDS))
    strike = await scene.struck(at, victim=victim)
    await _replace_worker(scene)
    exit_code = await leaving
    scene.say(f"{victim.name} left after {now() - at:.1f} s with exit code {exit_code}")
    return replace(strike, exit_code=exit_code, departures=(Departure(at, victim.key_ending),))


async def _roll_gateway(scene: Scene, victim: Gateway) -> int:
    exit_code = await asyncio.to_thread(victim.child.terminate, _DRAIN_SECONDS)
    await _replace_gateway(scene, victim)
    return exit_code


async def _replace_worker(scene: Scene) -> None:
    worker = await asyncio.to_thread(scene.deployment.start_worker)
    scene.say(f"{worker.name} has joined with {worker.partitions()} partitions")


async def _replace_gateway(scene: Scene, victim: Gateway) -> None:
    gateway = await asyncio.to_thread(lambda: scene.deployment.start_gateway(instead_of=victim))
    scene.say(f"{gateway.name} stands where {victim.name} stood")
