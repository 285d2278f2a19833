"""What happens to the Redis that people run: it dies, comes back empty, hangs, fails over, cuts, is full."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from redis.asyncio import Redis

from tests.chaos.evidence import Strike
from tests.chaos.outage import Step, in_thread, outage
from tests.chaos.scene import Plan, Scene, now
from tests.support.redis_process import RedisBinary, RedisServer
from tests.support.redis_sentinel import SentinelRedis
from tests.support.server import AnyRedis

_CUTS = 10
_CUT_EVERY_SECONDS = 1.0


@dataclass(frozen=True)
class RedisPlan(Plan):
    """A campaign with a Redis of its own."""

    redis_options: Sequence[str] = ()
    sentinel: bool = False
    """Master, replica and sentinels instead of one server."""
    outage_seconds: float = 5.0

    def redis(self, binary: RedisBinary) -> AnyRedis:
        return (SentinelRedis if self.sentinel else RedisServer)(binary, self.redis_options)


async def restart_redis(scene: Scene) -> Strike:
    """kill -9. It comes back with its append-only file if the plan gave it one, else empty."""
    server = _server(scene)
    return await _outage(scene, in_thread(server.kill), in_thread(server.start))


async def silence_redis(scene: Scene) -> Strike:
    """SIGSTOP: connections stay open, and nobody is answered."""
    server = _server(scene)
    return await _outage(scene, in_thread(server.pause), in_thread(server.resume))


async def fill_redis(scene: Scene) -> Strike:
    """No memory left and nothing may be evicted: what would store is refused, reading goes on."""
    async with Redis.from_url(_server(scene).url) as operator:
        await operator.config_set("maxmemory-policy", "noeviction")

        async def strike() -> None:
            await operator.config_set("maxmemory", 1)

        async def repair() -> None:
            await operator.config_set("maxmemory", 0)

        return await _outage(scene, strike, repair)


async def fail_over(scene: Scene) -> Strike:
    """kill -9 of the master. Its replica is promoted, and it comes back to be one itself."""
    deployment = scene.deployment.surroundings.redis
    assert isinstance(deployment, SentinelRedis), "needs sentinels"
    await scene.until_busy()
    old = deployment.master()
    at = now()
    await asyncio.to_thread(old.kill)
    strike = await scene.struck(at)
    await asyncio.to_thread(deployment.wait_for_failover, old)
    over_at = now()
    scene.say(f"the replica is the master after {over_at - at:.1f} s")
    await asyncio.to_thread(old.start)
    await asyncio.to_thread(deployment.wait_for_replica)
    return replace(strike, over_at=over_at, store_is_away=True)


async def cut_subscriptions(scene: Scene) -> Strike:
    """CLIENT KILL of every subscription, again and again. No excuse to tell anybody later."""
    await scene.until_busy()
    async with Redis.from_url(_server(scene).url) as operator:
        at = now()
        cut = await operator.client_kill_filter(_type="pubsub")
        strike = await scene.struck(at)
        for _ in range(_CUTS - 1):
            await asyncio.sleep(_CUT_EVERY_SECONDS)
            cut += await operator.client_kill_filter(_type="pubsub")
    scene.say(f"{cut} subscriptions were cut")
    return strike


async def _outage(scene: Scene, strike: Step, repair: Step) -> Strike:
    assert isinstance(scene.plan, RedisPlan)
    struck = await outage(scene, strike, repair, scene.plan.outage_seconds, "Redis is as it was")
    return replace(struck, store_is_away=True)


def _server(scene: Scene) -> RedisServer:
    redis = scene.deployment.surroundings.redis
    assert isinstance(redis, RedisServer), "needs a Redis of its own"
    return redis
