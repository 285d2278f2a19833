"""The faults of Kafka and of what stands on its topics; in the style of `faults.py`."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson

from tests.chaos.evidence import Strike
from tests.chaos.faults import lose_broker
from tests.chaos.kafka_cluster import KafkaCluster
from tests.chaos.offered_job import OfferedJob, body_of, status_of
from tests.chaos.scene import Scene, now
from tests.support.apache_kafka import ApacheKafka
from tests.support.proxied_kafka import ProxiedKafka

_LOOK_SECONDS = 0.2
_OUTAGE_SECONDS = 8.0
_LONG_OUTAGE_SECONDS = 25.0
_LEADERS_SECONDS = 3.0
_STRANGER_SECONDS = 2.5
_SLOW_SECONDS = 5.0
_STALL_SECONDS = 5.0
_LATENCY_SECONDS = 0.2
_DRAIN_SECONDS = 120.0
_EXPIRED_JOBS = 50


async def kill_coordinator(scene: Scene) -> Strike:
    """kill -9 of one of three nodes, the one that coordinates the workers' group; then it comes back."""
    kafka, cluster = _apache(scene), KafkaCluster(scene.deployment)
    node = await cluster.coordinator()
    await scene.until_busy()
    at = now()
    kafka.kill_node(node)
    strike = await scene.struck(at)
    await asyncio.sleep(_OUTAGE_SECONDS)
    await asyncio.to_thread(kafka.start_node, node)
    await cluster.until_in_sync()
    scene.say(f"node {node} is back and in sync")
    return strike


async def restart_each_broker(scene: Scene) -> Strike:
    """A controlled stop and start of each node in turn, each in sync before the next, as an upgrade does."""
    kafka, cluster = _apache(scene), KafkaCluster(scene.deployment)
    await scene.until_busy()
    strike = await scene.struck(now())
    for node in kafka.node_ids:
        await asyncio.to_thread(kafka.stop_node, node)
        await asyncio.to_thread(kafka.start_node, node)
        await cluster.until_in_sync()
        scene.say(f"node {node} was restarted and is in sync")
    return strike


async def move_leaders(scene: Scene) -> Strike:
    """While jobs are offered, every few seconds another node leads each partition."""
    cluster = KafkaCluster(scene.deployment)
    await scene.until_busy()
    strike = await scene.struck(now())
    while _is_offering(scene):
        before = await cluster.leaders()
        await cluster.prefer_other_leaders()
        await asyncio.sleep(_LEADERS_SECONDS)
        after = await cluster.leaders()
        moved = sum(leader != before[partition] for partition, leader in after.items())
        scene.say(f"{moved} of {len(after)} leaders have moved")
        assert moved, "no leader moved"
    return strike


async def force_rebalances(scene: Scene) -> Strike:
    """While jobs are offered, a stranger joins the workers' group and leaves it every few seconds."""
    cluster = KafkaCluster(scene.deployment)
    await scene.until_busy()
    strike = await scene.struck(now())
    while _is_offering(scene):
        async with cluster.stranger_in_the_group():
            scene.say("a stranger has joined")
            await asyncio.sleep(_STRANGER_SECONDS)
        await asyncio.sleep(_STRANGER_SECONDS)
    return strike


async def slow_broker(scene: Scene) -> Strike:
    """Every round trip takes 0.2 s longer; then nothing moves for 5 s."""
    kafka = scene.deployment.surroundings.kafka
    assert isinstance(kafka, ProxiedKafka), "needs a Kafka behind proxies"
    await scene.until_busy()
    strike = await scene.struck(now())
    kafka.delay(_LATENCY_SECONDS)
    await asyncio.sleep(_SLOW_SECONDS)
    kafka.stall()
    scene.say("Kafka stands still")
    await asyncio.sleep(_STALL_SECONDS)
    kafka.go_on()
    kafka.delay(0)
    scene.say("Kafka is quick again")
    return strike


async def duplicate_records(scene: Scene) -> Strike:
    """A direct producer sends each record again: of finished, running and queued jobs."""
    await scene.until_busy()
    strike = await scene.struck(now())
    await KafkaCluster(scene.deployment).copy_each_record(len(scene.jobs))
    scene.say("each record was produced twice")
    return strike


async def expired_records(scene: Scene) -> Strike:
    """Records whose expiry has passed, from a direct producer: told as expired, billed to nobody.

    A call for one of them would be a call about nothing that was offered.
    """
    cluster = KafkaCluster(scene.deployment)
    await scene.until_busy()
    strike = await scene.struck(now())
    late = [OfferedJob(f"expired {number}", is_waiting=False) for number in range(_EXPIRED_JOBS)]
    for job in late:
        await _produce_expired(cluster, job)
    for job in late:
        await _until_expired(scene, job)
    scene.say(f"{len(late)} records were told as expired")
    return strike


async def reset_offsets(scene: Scene) -> Strike:
    """The workers are stopped, the group's offsets reset to the earliest, and new workers started: every
    record comes again."""
    await scene.until_busy()
    at = now()
    leaving = [
        asyncio.create_task(asyncio.to_thread(worker.child.terminate, _DRAIN_SECONDS))
        for worker in scene.deployment.workers
    ]
    strike = await scene.struck(at)
    exit_codes = await asyncio.gather(*leaving)
    await KafkaCluster(scene.deployment).reset_offsets()
    scene.say("the workers have left, the offsets are reset")
    for _ in leaving:
        await asyncio.to_thread(scene.deployment.start_worker)
    return replace(strike, exit_code=max(exit_codes, key=abs))


async def lose_broker_and_disk(scene: Scene) -> Strike:
    """kill -9 of the only node for so long that facts go to the log file, whose disk is full."""
    return await lose_broker(scene, _LONG_OUTAGE_SECONDS)


def _is_offering(scene: Scene) -> bool:
    return not all(job.offered_at for job in scene.jobs)


def _apache(scene: Scene) -> ApacheKafka:
    kafka = scene.deployment.surroundings.kafka
    assert isinstance(kafka, ApacheKafka), "needs a Kafka of its own"
    return kafka


async def _produce_expired(cluster: KafkaCluster, job: OfferedJob) -> None:
    body = {"schema": 1, "request_id": job.request_id, "user_prompt": job.prompt}
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    await cluster.produce(job.request_id.encode(), orjson.dumps(body), {"ce_expirytime": past.encode()})


async def _until_expired(scene: Scene, job: OfferedJob) -> None:
    answer = await scene.callers.read(job)
    while answer is None or answer.status in (202, 404):
        await asyncio.sleep(_LOOK_SECONDS)
        answer = await scene.callers.read(job)
    told = body_of(answer)
    assert (status_of(answer), told["usage"]) == ("expired", None), told
