"""Kafka stands still, or dies, under load, and comes back: which facts are there in the end?"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from shared.adapters.kafka_topics import ensure_topics
from tests.chaos.agreement import prometheus
from tests.chaos.agreement.asking import Asking
from tests.chaos.agreement.books import Book
from tests.chaos.agreement.campaign import SETTINGS, Say, read_stats, scrape_worker
from tests.chaos.agreement.evidence import Evidence
from tests.chaos.agreement.facts import read_facts
from tests.chaos.agreement.questions import Question, make_questions
from tests.chaos.backlog import uncommitted_records
from tests.chaos.deployment import PARTITIONS, Deployment, Surroundings
from tests.support.apache_kafka import ApacheKafka
from tests.support.service_processes import one_process

_SPOOL_SECONDS = 60.0
_COMMIT_SECONDS = 60.0
_SETTLE_SECONDS = 3.0
_LOOK_SECONDS = 0.5
_BEFORE_SECONDS = 4.0
_AFTER_SECONDS = 4.0
_SETTINGS = {**SETTINGS, "WORKER_READ_TIMEOUT_SECONDS": "12"}

Away = Literal["killed", "stopped"]


@dataclass(frozen=True)
class KafkaAwayPlan:
    name: str
    is_distributed: bool
    away: Away
    away_seconds: float
    a_second: float = 30
    latency_ms: tuple[int, int] = (100, 8_000)
    seed: int = 0

    @property
    def jobs(self) -> int:
        return round(self.a_second * (_BEFORE_SECONDS + self.away_seconds + _AFTER_SECONDS))


@dataclass(frozen=True)
class EventsEvidence:
    """What the sources tell, and what became of the spool."""

    told: Evidence
    accepted: frozenset[str]
    refused: int
    ended_meanwhile: int
    """Jobs that callers saw end while Kafka was away."""
    most_spooled: int
    events: Book
    """`llm_events_*` at the end."""
    left_in_spool: tuple[str, ...]
    uncommitted: int


@dataclass(frozen=True)
class _Service:
    """One process, or a gateway and a worker: so that the order of facts is that of one process."""

    name: str
    url: str
    folder: Path
    deployment: Deployment | None = None

    def scrape(self) -> tuple[Book, Book]:
        if self.deployment is None:
            return prometheus.scrape_parts(self.url)
        return scrape_worker(self.deployment.workers[0]), prometheus.scrape(self.url)

    def spooled(self) -> list[str]:
        return [path.name for path in self.folder.glob("*.spool/*")]


async def run_kafka_away(
    plan: KafkaAwayPlan, surroundings: Surroundings, folder: Path, say: Say = print
) -> EventsEvidence:
    """On a Kafka and a Redis of its own."""
    low, high = plan.latency_ms
    surroundings.provider.clear()
    surroundings.provider.script(latency_ms=low, latency_ms_max=high)
    deployment = Deployment(surroundings, folder, _SETTINGS)  # makes the folder
    kafka = surroundings.kafka.bootstrap_servers
    topics = [f"{deployment.name}-metrics", f"{deployment.name}-errors"]
    await ensure_topics(kafka, topics, partitions=PARTITIONS, replication_factor=1)
    with _started(plan, deployment, folder) as service:
        async with Asking([service.url], None, deployment.request_topic, comes_back=False) as asking:
            return await _conduct(plan, surroundings, service, asking, say)


@contextmanager
def _started(plan: KafkaAwayPlan, deployment: Deployment, folder: Path) -> Iterator[_Service]:
    if plan.is_distributed:
        with deployment:
            deployment.start(gateways=1, workers=1)
            yield _Service(deployment.name, deployment.gateways[0].url, folder, deployment)
        return
    settings = {**deployment.common_settings(), **_SETTINGS, "OPENAI_API_KEY": "sk-chaos-one"}
    settings.pop("LLM_LOG_FILE")
    with one_process(folder, **settings) as service:
        yield _Service(deployment.name, service.url, folder)


async def _conduct(
    plan: KafkaAwayPlan, surroundings: Surroundings, service: _Service, asking: Asking, say: Say
) -> EventsEvidence:
    started_at = time.time()
    questions = [_over_http(question) for question in make_questions(plan.jobs, plan.seed)]
    watched = Book()
    async with _watching(service, watched), asyncio.TaskGroup() as group:
        group.create_task(asking.ask_all(questions, plan.a_second))
        away = group.create_task(_lose_kafka(plan, surroundings, say))
    say(f"all have ended, {dict(asking.refused)} refused; waiting for the spool")
    uncommitted = await _until_settled(surroundings, service)
    gone_at, back_at = away.result()
    worker, gateway = await asyncio.to_thread(service.scrape)
    return EventsEvidence(
        told=await _evidence(surroundings, service, asking, questions, (worker, gateway), started_at),
        accepted=frozenset(asking.accepted),
        refused=sum(asking.refused.values()),
        ended_meanwhile=sum(gone_at < at < back_at for at in asking.ended_at.values()),
        most_spooled=watched["llm_events_spooled"],
        events=Book({name: worker[name] for name in prometheus.EVENTS}),
        left_in_spool=tuple(service.spooled()),
        uncommitted=uncommitted,
    )


def _over_http(question: Question) -> Question:
    """What a direct producer would send needs Kafka."""
    return replace(question, is_direct=False)


async def _evidence(
    surroundings: Surroundings,
    service: _Service,
    asking: Asking,
    questions: list[Question],
    scraped: tuple[Book, Book],
    started_at: float,
) -> Evidence:
    worker, gateway = scraped
    calls = await asyncio.to_thread(surroundings.provider.ledger)
    key = next(call.key_ending for call in calls)
    kafka = surroundings.kafka.bootstrap_servers
    return Evidence(
        questions=questions,
        answers=asking.answers,
        calls=calls,
        facts=await read_facts(kafka, f"{service.name}-metrics", PARTITIONS),
        stats=await read_stats(service.url),
        workers={key: worker},
        gateways=gateway,
        seconds=time.time() - started_at,
        complaints=service.deployment.complaints() if service.deployment else {},
    )


async def _lose_kafka(plan: KafkaAwayPlan, surroundings: Surroundings, say: Say) -> tuple[float, float]:
    """When it went, and when it was back."""
    kafka = surroundings.kafka
    assert isinstance(kafka, ApacheKafka), "needs a Kafka of its own"
    await asyncio.sleep(_BEFORE_SECONDS)
    gone_at = time.time()
    await asyncio.to_thread(kafka.kill_node if plan.away == "killed" else kafka.child().pause)
    say(f"Kafka was {plan.away}")
    await asyncio.sleep(plan.away_seconds)
    back_at = time.time()
    await asyncio.to_thread(kafka.start_node if plan.away == "killed" else kafka.child().resume)
    say("Kafka is back")
    return gone_at, back_at


async def _until_settled(surroundings: Surroundings, service: _Service) -> int:
    """Until nothing waits any more, or patience ends; how many records are not committed."""
    give_up_at = time.monotonic() + _SPOOL_SECONDS
    while service.spooled() and time.monotonic() < give_up_at:
        await asyncio.sleep(_LOOK_SECONDS)
    left = 0
    if service.deployment is not None:
        kafka, deployment = surroundings.kafka.bootstrap_servers, service.deployment
        topic, group = deployment.request_topic, deployment.group
        left = await uncommitted_records(kafka, topic, group, PARTITIONS, _COMMIT_SECONDS)
    await asyncio.sleep(_SETTLE_SECONDS)
    return left


@asynccontextmanager
async def _watching(service: _Service, most: Book) -> AsyncIterator[None]:
    """The most facts that ever waited in the spool."""

    async def watch() -> None:
        while True:
            worker, _ = await asyncio.to_thread(service.scrape)
            most["llm_events_spooled"] = max(most["llm_events_spooled"], worker["llm_events_spooled"])
            await asyncio.sleep(_LOOK_SECONDS)

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
