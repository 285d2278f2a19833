"""Ask, roll and kill meanwhile, and collect what every source says."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer

from tests.chaos.agreement import prometheus
from tests.chaos.agreement.asking import Asking
from tests.chaos.agreement.books import Book
from tests.chaos.agreement.evidence import Evidence, Kill
from tests.chaos.agreement.facts import read_facts
from tests.chaos.agreement.prices import OWN_PRICES
from tests.chaos.agreement.questions import Question, make_questions
from tests.chaos.backlog import uncommitted_records
from tests.chaos.deployment import PARTITIONS, Deployment, Surroundings, Worker

_SETTLE_SECONDS = 3.0
_COMMIT_SECONDS = 20.0
_DRAIN_SECONDS = 60.0
_LOOK_SECONDS = 0.2
SETTINGS = {
    "LLM_SUPPORTED_MODELS": "*",
    "LLM_PRICES": OWN_PRICES,
    "WORKER_READ_TIMEOUT_SECONDS": "3",
    "WORKER_MAX_ATTEMPTS": "4",
    # Most of these calls fail because they were asked to: nobody is away, and no key is at its limit.
    "WORKER_BREAKER_FAILURES": "0",
    "WORKER_LEAST_KEY_CALLS": "100000",
    "WORKER_BACKOFF_SECONDS": "0.05",
    "WORKER_SESSION_TIMEOUT_SECONDS": "10",
    "WORKER_LEASE_SECONDS": "6",
}

Say = Callable[[str], None]


@dataclass(frozen=True)
class AgreementPlan:
    """One campaign; the rolls and kills are spread evenly over the offers."""

    name: str
    jobs: int
    a_second: float
    rolls: int = 0
    kills: int = 0
    seed: int = 0
    latency_ms: tuple[int, int] = (20, 400)


@dataclass
class _Scene:
    deployment: Deployment
    asking: Asking
    say: Say
    gone: Book = field(default_factory=Book)
    """Prometheus of gateways in their last moment."""
    kills: list[Kill] = field(default_factory=list)
    rolled: int = 0


async def run_agreement(
    plan: AgreementPlan, surroundings: Surroundings, folder: Path, say: Say = print
) -> Evidence:
    """On a Redis of its own: its sums begin at nothing."""
    low, high = plan.latency_ms
    surroundings.provider.clear()
    surroundings.provider.script(latency_ms=low, latency_ms_max=high)
    with Deployment(surroundings, folder, SETTINGS) as deployment:
        await asyncio.to_thread(deployment.start, gateways=2, workers=2)
        urls = [gateway.url for gateway in deployment.gateways]
        producer = AIOKafkaProducer(bootstrap_servers=surroundings.kafka.bootstrap_servers, acks="all")
        await producer.start()
        try:
            async with Asking(urls, producer, deployment.request_topic) as asking:
                return await _conduct(plan, _Scene(deployment, asking, say))
        finally:
            await producer.stop()


async def _conduct(plan: AgreementPlan, scene: _Scene) -> Evidence:
    started_at, deployment = time.time(), scene.deployment
    questions = make_questions(plan.jobs, plan.seed)
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(scene.asking.ask_all(questions, plan.a_second))
        group.create_task(_trouble(plan, scene, asking))
    kafka = deployment.surroundings.kafka.bootstrap_servers
    left = await uncommitted_records(
        kafka, deployment.request_topic, deployment.group, PARTITIONS, _COMMIT_SECONDS
    )
    scene.say(f"all have ended; {left} records not committed; refused {dict(scene.asking.refused)}")
    await asyncio.sleep(_SETTLE_SECONDS)  # gateways tell once a second, facts are sent in the background
    return await _evidence(scene, questions, started_at)


async def _evidence(scene: _Scene, questions: Sequence[Question], started_at: float) -> Evidence:
    deployment, surroundings = scene.deployment, scene.deployment.surroundings
    gateways = [prometheus.scrape(gateway.url) for gateway in deployment.standing_gateways]
    workers = {worker.key_ending: scrape_worker(worker) for worker in deployment.standing_workers}
    return Evidence(
        questions=questions,
        answers=scene.asking.answers,
        calls=await asyncio.to_thread(surroundings.provider.ledger),
        facts=await read_facts(
            surroundings.kafka.bootstrap_servers, f"{deployment.name}-metrics", PARTITIONS
        ),
        stats=await read_stats(deployment.standing_gateways[0].url),
        workers=workers,
        gateways=sum(gateways, Book(scene.gone)),
        kills=scene.kills,
        rolled=scene.rolled,
        seconds=time.time() - started_at,
        complaints=deployment.complaints(),
    )


async def read_stats(url: str) -> dict[str, Any]:
    """`/stats` now."""
    async with httpx.AsyncClient(timeout=30) as client:
        told: dict[str, Any] = (await client.get(f"{url}/stats")).json()
        return told


async def _trouble(plan: AgreementPlan, scene: _Scene, asking: asyncio.Task[None]) -> None:
    """Rolls and kills in turn, each when its share of the jobs has been offered."""
    steps = [_roll] * plan.rolls + [_kill] * plan.kills
    for number, step in enumerate(steps, 1):
        while scene.asking.offered < plan.jobs * number / (len(steps) + 1):
            if asking.done():
                return
            await asyncio.sleep(_LOOK_SECONDS)
        await step(scene)


async def _roll(scene: _Scene) -> None:
    """A gateway is left, read a last time, stopped and replaced, while the others have the load."""
    victim = scene.deployment.standing_gateways[0]
    await scene.asking.turn_from(victim.url)
    scene.gone += await asyncio.to_thread(prometheus.scrape, victim.url)
    exit_code = await asyncio.to_thread(victim.child.terminate, _DRAIN_SECONDS)
    gateway = await asyncio.to_thread(lambda: scene.deployment.start_gateway(instead_of=victim))
    scene.asking.turn_to(gateway.url)
    scene.rolled += 1
    scene.say(f"{victim.name} was rolled, exit code {exit_code}")


async def _kill(scene: _Scene) -> None:
    """kill -9 of a worker, read a moment before; another one comes."""
    victim = scene.deployment.standing_workers[0]
    scraped_from = time.time()
    scraped = await asyncio.to_thread(scrape_worker, victim)
    scene.kills.append(Kill(victim.key_ending, time.time(), scraped_from, scraped))
    victim.child.kill()
    scene.say(f"{victim.name} was killed")
    await asyncio.to_thread(scene.deployment.start_worker)


def scrape_worker(worker: Worker) -> Book:
    """Prometheus of a worker now."""
    [ready] = worker.events_with('"health_ready"')
    return prometheus.scrape(str(ready["url"]))
