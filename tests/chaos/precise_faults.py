"""Deaths between two steps: a process is started behind a proxy, its next step is held back on the way, it is
killed, and what was held back never arrives."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from tests.chaos.deployment import Gateway, Worker
from tests.chaos.detour_kafka import DetourKafka
from tests.chaos.faults import taken_over
from tests.chaos.offered_job import ENDED, status_of
from tests.chaos.scene import NeverBusyError, Scene, now
from tests.chaos.strike import Strike
from tests.support.redis_sentinel import SentinelRedis
from tests.support.tcp_proxy import TcpProxy

_ENOUGH_JOBS = 10
_LOOK_SECONDS = 0.1
_PATIENCE_SECONDS = 8.0
"""Shorter than a session, a lease and the time in which a gateway gives up to enqueue."""

Reached = Callable[[Scene, Worker, float], Awaitable[int]]
"""How many of a worker's jobs stand where it shall die, held back since an instant."""


async def kill_worker_before_call(scene: Scene) -> Strike:
    """Jobs are begun, and no call has arrived."""
    way = _way_to(scene.deployment.surroundings.provider.base_url)
    return await _kill_behind(scene, way, "OPENAI_BASE_URL", "http://{}/v1", _begun_uncalled)


async def kill_worker_before_store(scene: Scene) -> Strike:
    """Answers have arrived, and none of them is stored."""
    way = TcpProxy("127.0.0.1", _redis_port(scene))
    return await _kill_behind(scene, way, "REDIS_URL", "redis://{}/0", _answered)


async def kill_worker_before_commit(scene: Scene) -> Strike:
    """Results are stored, and their records are not committed."""
    return await _kill_behind(scene, _detour(scene), "KAFKA_BOOTSTRAP_SERVERS", "{}", _stored)


async def kill_gateway_before_produce(scene: Scene) -> Strike:
    """Ids are claimed, and no record exists; callers ask another gateway with the same id."""
    async with _detour(scene) as way:
        settings = {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{way.port}"}
        victim = await asyncio.to_thread(scene.deployment.start_gateway, settings)
        scene.callers.turn_to(victim.url)
        try:
            await scene.until_busy()
            earlier = {job.request_id for job in scene.callers.asking(victim.url)}
            way.blackhole()
            claimed = await _enough(lambda: _claimed(scene, victim, earlier))
            at = now()
        finally:
            scene.callers.turn_from(victim.url)
            victim.child.kill()
        await way.refuse()
        scene.say(f"{claimed} ids claimed without a record")
        return await scene.struck(at)


async def _kill_behind(scene: Scene, way: TcpProxy, variable: str, address: str, reached: Reached) -> Strike:
    """A worker more, whose way to one of its neighbours leads through the proxy."""
    async with way:
        settings: Mapping[str, str] = {variable: address.format(f"127.0.0.1:{way.port}")}
        victim = await asyncio.to_thread(scene.deployment.start_worker, settings)
        try:
            await scene.until_busy()
            way.blackhole()
            held_since = now()
            count = await _enough(lambda: reached(scene, victim, held_since))
            at = now()
        finally:
            victim.child.kill()
        await way.refuse()
        scene.say(f"{count} jobs stood where {victim.name} died")
        strike = await scene.struck(at, victim=victim, may_repeat=True)
    await taken_over(scene)
    return strike


async def _enough(count: Callable[[], Awaitable[int]]) -> int:
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while (found := await count()) < _ENOUGH_JOBS:
                await asyncio.sleep(_LOOK_SECONDS)
            return found
    raise NeverBusyError


async def _begun_uncalled(scene: Scene, _: Worker, __: float) -> int:
    return len(await scene.begun_uncalled())


async def _answered(scene: Scene, victim: Worker, held_since: float) -> int:
    return len(await _prompts_answered(scene, victim, held_since))


async def _stored(scene: Scene, victim: Worker, held_since: float) -> int:
    prompts = await _prompts_answered(scene, victim, held_since)
    seen = await scene.callers.read_many(job for job in scene.jobs if job.prompt in prompts)
    return sum(status_of(answer) in ENDED for _, answer in seen)


async def _prompts_answered(scene: Scene, victim: Worker, held_since: float) -> set[str]:
    calls = await scene.running(held_since)
    return {call.message for call in calls if call.status and call.key_ending == victim.key_ending}


async def _claimed(scene: Scene, victim: Gateway, earlier: set[str]) -> int:
    asking = [job for job in scene.callers.asking(victim.url) if job.request_id not in earlier]
    return sum(status_of(answer) == "queued" for _, answer in await scene.callers.read_many(asking))


def _redis_port(scene: Scene) -> int:
    redis = scene.deployment.surroundings.redis
    if isinstance(redis, SentinelRedis):
        return redis.master().port
    return _port_of(redis.url)


def _way_to(url: str) -> TcpProxy:
    return TcpProxy("127.0.0.1", _port_of(url))


def _port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port, f"no port in {url}"
    return port


def _detour(scene: Scene) -> TcpProxy:
    kafka = scene.deployment.surroundings.kafka
    assert isinstance(kafka, DetourKafka), "needs a Kafka of its own"
    return kafka.detour()
