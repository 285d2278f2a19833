"""A campaign: jobs are offered, a fault strikes, every result is read twice, the evidence is collected."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos.backlog import uncommitted_records
from tests.chaos.callers import Callers
from tests.chaos.deployment import PARTITIONS, Deployment, Surroundings
from tests.chaos.evidence import Evidence, Strike
from tests.chaos.offered_job import make_jobs
from tests.chaos.scene import NeverBusyError, Plan, Scene, in_flight

_PROGRESS_SECONDS = 2.0
_SETTLE_SECONDS = 3.0
_COMMIT_SECONDS = 10.0

Say = Callable[[str], None]


async def run_campaign(plan: Plan, surroundings: Surroundings, folder: Path, say: Say = print) -> Evidence:
    """Start a deployment, put it through the plan, and end it; logs stay in `folder`."""
    low, high = plan.latency_ms
    surroundings.provider.clear()
    surroundings.provider.script(latency_ms=low, latency_ms_max=high)
    with Deployment(surroundings, folder, plan.settings) as deployment:
        await asyncio.to_thread(deployment.start, gateways=plan.gateways, workers=2)
        urls = [gateway.url for gateway in deployment.gateways]
        async with Callers(urls, retry_refusals=plan.retry_refusals) as callers:
            jobs = make_jobs(plan.jobs, plan.wait_every)
            return await _conduct(Scene(plan, deployment, callers, jobs, _Clock(say)))


async def _conduct(scene: Scene) -> Evidence:
    plan, callers, deployment = scene.plan, scene.callers, scene.deployment
    started_at = time.time()
    progress = asyncio.create_task(_tell_progress(scene))
    try:
        async with asyncio.TaskGroup() as group:
            offering = group.create_task(callers.offer_all(scene.jobs, plan.a_second))
            striking = group.create_task(_strike(scene))
            group.create_task(callers.read_until_ended(scene.jobs, offering, plan.patience_seconds))
    finally:
        progress.cancel()
    await _settle(scene)
    for job, answer in await callers.read_many(job for job in scene.jobs if job.first_read):
        job.second_read = answer
    return Evidence(
        fault=plan.fault,
        least_in_flight=plan.in_flight,
        expected_complaint=plan.expected_complaint,
        jobs=scene.jobs,
        calls=await scene.ledger(),
        strike=striking.result(),
        uncommitted_records=await uncommitted_records(
            deployment.surroundings.kafka.bootstrap_servers,
            deployment.request_topic,
            deployment.group,
            PARTITIONS,
            _COMMIT_SECONDS,
        ),
        complaints=deployment.complaints(),
        seconds=time.time() - started_at,
    )


async def _strike(scene: Scene) -> Strike | None:
    try:
        return await scene.plan.strike(scene)
    except NeverBusyError:
        return None


async def _settle(scene: Scene) -> None:
    """What should not happen any more gets its chance."""
    scene.say("all jobs have ended, or patience has; looking for late calls")
    give_up_at = time.time() + scene.plan.latency_ms[1] / 1000 + _SETTLE_SECONDS
    await asyncio.sleep(_SETTLE_SECONDS)
    while in_flight(await scene.ledger()) and time.time() < give_up_at:
        await asyncio.sleep(_SETTLE_SECONDS / 10)


async def _tell_progress(scene: Scene) -> None:
    while True:
        offered = sum(job.offered_at > 0 for job in scene.jobs)
        answered = sum(job.first_read is not None for job in scene.jobs)
        calls = await asyncio.to_thread(scene.deployment.surroundings.provider.count)
        scene.say(f"done {answered}/{len(scene.jobs)}, offered {offered}, provider calls {calls}")
        await asyncio.sleep(_PROGRESS_SECONDS)


class _Clock:
    """Says things with the seconds since the start before them."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._started_at = time.monotonic()

    def __call__(self, text: str) -> None:
        self._say(f"{time.monotonic() - self._started_at:6.1f} s  {text}")
