"""A campaign: jobs are offered, faults strike, every result is read twice, the evidence is collected."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from tests.chaos.backlog import uncommitted_records
from tests.chaos.callers import Callers
from tests.chaos.deployment import PARTITIONS, Deployment, Surroundings
from tests.chaos.direct_producer import DirectProducer
from tests.chaos.evidence import Evidence
from tests.chaos.job_mix import make_jobs
from tests.chaos.memory import watch_memory
from tests.chaos.scene import NeverBusyError, Plan, Planned, Scene
from tests.chaos.strike import Strike

_PROGRESS_SECONDS = 2.0
_SETTLE_SECONDS = 3.0
_COMMIT_SECONDS = 10.0
_LAST_STRIKE_SHARE = 0.8
"""Of the jobs offered: what strikes later meets no load."""

Say = Callable[[str], None]


async def run_campaign(plan: Plan, surroundings: Surroundings, folder: Path, say: Say = print) -> Evidence:
    """Start a deployment, put it through the plan, and end it; logs stay in `folder`."""
    low, high = plan.latency_ms
    surroundings.provider.clear()
    surroundings.provider.script(latency_ms=low, latency_ms_max=high)
    with Deployment(surroundings, folder, plan.settings) as deployment:
        await asyncio.to_thread(deployment.start, gateways=plan.gateways, workers=2)
        urls = [gateway.url for gateway in deployment.gateways]
        kafka = surroundings.kafka.bootstrap_servers
        async with (
            DirectProducer(kafka, deployment.request_topic) as producer,
            Callers(urls, retry_refusals=plan.retry_refusals, producer=producer) as callers,
        ):
            jobs = make_jobs(plan.jobs, plan.mix, plan.seed)
            return await _conduct(Scene(plan, deployment, callers, jobs, _Clock(say)))


async def _conduct(scene: Scene) -> Evidence:
    plan, deployment = scene.plan, scene.deployment
    started_at = time.time()
    rss_mib: defaultdict[str, list[float]] = defaultdict(list)
    before = await scene.callers.totals()
    strikes = await _load_and_strike(scene, rss_mib)
    await _settle(scene)
    await scene.callers.read_again(job for job in scene.jobs if job.first_read)
    after = await scene.callers.totals()
    return Evidence(
        fault=plan.fault,
        least_in_flight=plan.in_flight,
        expected_complaint=plan.expected_complaint,
        jobs=scene.jobs,
        calls=await scene.ledger(),
        strikes=strikes,
        uncommitted_records=await uncommitted_records(
            deployment.surroundings.kafka.bootstrap_servers,
            deployment.request_topic,
            deployment.group,
            PARTITIONS,
            _COMMIT_SECONDS,
        ),
        complaints=deployment.complaints(),
        seconds=time.time() - started_at,
        rss_mib=rss_mib,
        totals={name: total - before.get(name, 0) for name, total in after.items()},
        assigned_at=deployment.assigned_at(),
        seed=plan.seed,
    )


async def _load_and_strike(scene: Scene, rss_mib: defaultdict[str, list[float]]) -> Sequence[Strike]:
    plan, callers = scene.plan, scene.callers
    async with AsyncExitStack() as stack:
        for watching in (_tell_progress(scene), watch_memory(scene.deployment, rss_mib)):
            stack.callback(asyncio.create_task(watching).cancel)
        async with asyncio.TaskGroup() as group:
            offering = group.create_task(callers.offer_all(scene.jobs, plan.a_second, plan.most_unread))
            striking = group.create_task(_strike(scene))
            group.create_task(callers.read_until_ended(scene.jobs, offering, plan.patience_seconds))
    return striking.result()


async def _strike(scene: Scene) -> Sequence[Strike]:
    """The planned faults one after the other, as long as they meet a load."""
    plan = scene.plan
    strikes: list[Strike] = []
    for planned in plan.schedule or [Planned(plan.fault, plan.strike)]:
        await asyncio.sleep(planned.pause_seconds)
        if strikes and scene.offered > len(scene.jobs) * _LAST_STRIKE_SHARE:
            break
        scene.say(f"fault {len(strikes) + 1}: {planned.name}")
        try:
            strikes.append(replace(await planned.fault(scene), name=planned.name))
        except NeverBusyError:
            break
    return strikes


async def _settle(scene: Scene) -> None:
    """What should not happen any more gets its chance."""
    scene.say("all jobs have ended, or patience has; looking for late calls")
    give_up_at = time.time() + scene.plan.latency_ms[1] / 1000 + _SETTLE_SECONDS
    await asyncio.sleep(_SETTLE_SECONDS)
    while await scene.running() and time.time() < give_up_at:
        await asyncio.sleep(_SETTLE_SECONDS / 10)


async def _tell_progress(scene: Scene) -> None:
    while True:
        answered = sum(job.first_read is not None for job in scene.jobs)
        calls = await asyncio.to_thread(scene.deployment.surroundings.provider.count)
        scene.say(f"done {answered}/{len(scene.jobs)}, offered {scene.offered}, provider calls {calls}")
        await asyncio.sleep(_PROGRESS_SECONDS)


class _Clock:
    """Says things with the seconds since the start before them."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._started_at = time.monotonic()

    def __call__(self, text: str) -> None:
        self._say(f"{time.monotonic() - self._started_at:6.1f} s  {text}")
