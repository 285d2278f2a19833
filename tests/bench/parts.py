"""The parts of the bench: each starts what it needs, measures, and puts what it found into the report."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from uuid import uuid4

import uvloop

from tests.bench.cores import ALL_CORES, CpuMeter, pin
from tests.bench.first_token import measure_first_token
from tests.bench.in_flight import Offer, measure_in_flight
from tests.bench.lanes import OFFERS, SHORT_OFFERS, SLOTS, measure_lanes
from tests.bench.lanes import WORKERS as LANE_WORKERS
from tests.bench.memory import measure_memory
from tests.bench.open_loop import HALF, MOST, OVERLOAD, measure_overload, measure_share, most_per_second
from tests.bench.peers.running import measure_peer, running_peers
from tests.bench.progress import say
from tests.bench.report import Report
from tests.bench.scaling import CALL_SECONDS, WORKERS, measure_scaled
from tests.bench.servers import HOST, ROOT, Brokers, Service, running_fast_provider, running_service, separate
from tests.bench.stages import measure_stages
from tests.bench.start_time import measure_starts
from tests.bench.telemetry import measure_telemetry
from tests.bench.throughput import Plan, measure_throughput
from tests.support.provider_process import ScriptedProvider

_STREAMS, _SHORT_STREAMS = 500, 50
_SLOTS, _SHORT_SLOTS = (50, 200), (20,)
_STARTS = 5
_SHORT_OFFER = Offer(call_seconds=3, steady_seconds=5)


@dataclass(frozen=True)
class Words:
    """What was asked of the bench."""

    plan: Plan
    peers: tuple[str, ...] = ()
    max_queue_seconds: float = 0.1
    requests: int = 1_000_000
    """Of the memory part."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Of the service, beyond its defaults."""
    is_short: bool = False


Part = Callable[[Brokers, Words, Report], None]


@dataclass(frozen=True)
class Rig:
    """A service alone on its core, and what stands around it."""

    service: Service
    meter: CpuMeter
    provider_url: str
    pids: dict[str, list[int]]


@contextmanager
def pinned_service(brokers: Brokers, words: Words, **settings: str) -> Iterator[Rig]:
    """Gateway and worker alone on their core, before the fast provider."""
    with (
        running_fast_provider() as (provider, provider_url),
        running_service(brokers, provider_url, workers=1, tree=ROOT, **settings, **words.settings) as service,
    ):
        try:
            around = brokers.pids | {"provider": [provider.pid]}
            meter = separate(service, around)
            yield Rig(service, meter, provider_url, {**service.pids, **around})
        finally:
            pin([os.getpid(), *chain(*brokers.pids.values())], ALL_CORES)


def throughput(brokers: Brokers, words: Words, report: Report) -> None:
    with (
        pinned_service(brokers, words) as rig,
        running_peers(words.peers, brokers, rig.provider_url) as peers,
    ):
        say(f"gateway and worker are ready: throughput, beside {', '.join(words.peers) or 'nobody'}")
        report.peers = {running.peer.name: running.peer.version for running in peers}
        for number in range(1, words.plan.rounds + 1):
            report.throughput += measure_throughput(rig.service.port, rig.meter, words.plan, number, say)
            for running in peers:
                report.throughput += measure_peer(running, rig.pids, words.plan, number, say)


def stages(brokers: Brokers, words: Words, report: Report) -> None:
    with pinned_service(brokers, words) as rig:
        say("gateway and worker are ready: the budget of CPU")
        seconds = words.plan.seconds if words.is_short else 3 * words.plan.seconds
        report.stages = measure_stages(rig.service, rig.meter, seconds, words.plan.warm_up_seconds, say)


def latency(brokers: Brokers, words: Words, report: Report) -> None:
    with pinned_service(brokers, words) as rig:
        most = most_per_second(rig.service.port, rig.meter, report.throughput, words.plan.seconds)
        say(f"gateway and worker are ready: arrivals at shares of {most:.0f}/s")
        for share in (HALF, MOST):
            point = measure_share(rig.service.port, rig.meter, share, most, 2 * words.plan.seconds)
            report.latency.append(point)
            say(f"{point}")


def overload(brokers: Brokers, words: Words, report: Report) -> None:
    """With a short queue: by default a job may wait for minutes. The most is measured without a limit."""
    with pinned_service(brokers, words) as rig:
        most = most_per_second(rig.service.port, rig.meter, report.throughput, words.plan.seconds)
    with pinned_service(brokers, words, LLM_MAX_QUEUE_SECONDS=f"{words.max_queue_seconds}") as rig:
        port = rig.service.port
        say(f"gateway and worker are ready: {OVERLOAD:g} x {most:.0f}/s")
        report.max_queue_seconds = words.max_queue_seconds
        report.overload.append(measure_share(port, rig.meter, MOST, most, 2 * words.plan.seconds))
        say(f"{report.overload[-1]}")
        report.overload.append(measure_overload(port, rig.meter, most, 2 * words.plan.seconds))
        say(f"{report.overload[-1]}")


def scaling(brokers: Brokers, words: Words, report: Report) -> None:
    for slots in _SHORT_SLOTS if words.is_short else _SLOTS:
        for workers in WORKERS:
            with (
                running_fast_provider(CALL_SECONDS * 1000) as (provider, url),
                running_service(brokers, url, workers=workers, WORKER_CONCURRENCY=f"{slots}") as service,
            ):
                scaled = measure_scaled(service, brokers, provider.pid, slots, 2 * words.plan.seconds)
            report.scaling.append(scaled)
            say(f"{scaled}")


def start(brokers: Brokers, words: Words, report: Report) -> None:
    with running_fast_provider() as (_, provider_url):
        report.start = measure_starts(brokers, provider_url, 1 if words.is_short else _STARTS, say)


def memory(brokers: Brokers, words: Words, report: Report) -> None:
    """Results are kept as short as may be: only the service's own memory is asked for."""
    with pinned_service(brokers, words, REDIS_TTL_HOURS="1") as rig:
        say(f"gateway and worker are ready: {words.requests} requests")
        report.memory = measure_memory(rig.service, words.requests, say)


def in_flight(brokers: Brokers, words: Words, report: Report) -> None:
    offer = _SHORT_OFFER if words.is_short else Offer()
    with (
        ScriptedProvider() as provider,
        running_service(brokers, provider.base_url, WORKER_CONCURRENCY=f"{offer.slots}") as service,
    ):
        say(f"gateway and worker are ready: {offer.per_second * offer.call_seconds:.0f} calls in flight")
        meter = CpuMeter({**service.pids, **brokers.pids, "provider": [provider.child.pid]})
        report.in_flight = uvloop.run(measure_in_flight(service, meter, provider, offer, say))


def first_token(brokers: Brokers, words: Words, report: Report) -> None:
    streams = _SHORT_STREAMS if words.is_short else _STREAMS
    with (
        ScriptedProvider() as provider,
        running_service(brokers, provider.base_url) as service,
    ):
        say("gateway and worker are ready: the first word of a stream")
        url = f"http://{HOST}:{service.port}/v1"
        report.first_token = uvloop.run(measure_first_token(provider.base_url, url, streams, say))


def telemetry(brokers: Brokers, _: Words, report: Report) -> None:
    report.telemetry = uvloop.run(measure_telemetry(brokers, say))


def lanes(brokers: Brokers, words: Words, report: Report) -> None:
    """The window as the chart sets it: twice the slots."""
    for offer in SHORT_OFFERS if words.is_short else OFFERS:
        topic = f"bench-{uuid4().hex[:8]}-requests"  # what is left over is nobody's
        with (
            ScriptedProvider() as provider,
            running_service(
                brokers,
                provider.base_url,
                workers=LANE_WORKERS,
                KAFKA_REQUEST_TOPIC=topic,
                KAFKA_REQUEST_PARTITIONS="4",
                WORKER_CONCURRENCY=f"{SLOTS}",
                WORKER_WINDOW_JOBS=f"{2 * SLOTS}",
            ),
        ):
            say(f"gateway and workers are ready: {offer.name}")
            kafka = brokers.kafka.bootstrap_servers
            report.lanes.append(uvloop.run(measure_lanes(kafka, topic, provider, offer, say)))


PARTS: Mapping[str, Part] = {
    "throughput": throughput,
    "stages": stages,
    "latency": latency,
    "overload": overload,
    "scaling": scaling,
    "start": start,
    "memory": memory,
    "in-flight": in_flight,
    "first-token": first_token,
    "telemetry": telemetry,
    "lanes": lanes,
}
