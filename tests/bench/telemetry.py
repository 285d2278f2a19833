"""What a job pays for being seen: its steps one by one, and all of them with the sender, with and without."""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path

from shared.adapters.kafka_event_sink import connect_kafka_event_sink
from shared.adapters.kafka_producer import connect_kafka_producer
from shared.adapters.kafka_topics import ensure_topics
from shared.garbage_collector import settle_garbage_collector
from shared.telemetry.logging import configure_logging
from tests.bench.cores import loop_ms
from tests.bench.seen_job import NullSink, SeenJob
from tests.bench.servers import Brokers
from tests.bench.sums_in_redis import redis_us_a_job

_PARTITIONS = 24
JOBS_A_SECOND = 500
_ROUNDS, _JOBS, _TICK_SECONDS = 5, 2_000, 0.02
_REPEATS, _BATCHES = 2_000, 5
_SPOOL_BYTES = 1 << 24

Say = Callable[[str], None]
Settled = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Pairs:
    """Rounds with and without, in turn."""

    seen_us: list[float]
    unseen_us: list[float]

    @property
    def cost_us(self) -> float:
        return statistics.median(self.costs_us)

    @property
    def costs_us(self) -> list[float]:
        return [seen - unseen for seen, unseen in zip(self.seen_us, self.unseen_us, strict=True)]


@dataclass(frozen=True)
class Telemetry:
    """Microseconds of CPU a job."""

    busy: Pairs
    """As many jobs as the core does."""
    paced: Pairs
    """`JOBS_A_SECOND`: caches are cold, and Kafka's requests carry fewer facts."""
    steps_us: Mapping[str, float]
    calibration_ms: float
    """CPU of a fixed Python loop, just before and after the rounds: how fast the machine was."""
    redis_us: Mapping[str, float]


async def measure_telemetry(brokers: Brokers, say: Say) -> Telemetry:
    """Facts go to a real Kafka in the background, from the process that is measured."""
    with _silence():
        configure_logging("bench", "INFO", is_debug=False)
        steps = _steps(SeenJob(NullSink()))
        settle_garbage_collector()  # as every process of the service does
        before_ms = loop_ms()
        busy, paced = await _rounds(brokers.kafka.bootstrap_servers)
        calibration_ms = (before_ms + loop_ms()) / 2
    say("telemetry: steps and rounds are measured")
    redis = await redis_us_a_job(brokers.redis.url, SeenJob(NullSink()).amounts())
    return Telemetry(busy, paced, steps, calibration_ms, redis)


@contextmanager
def _silence() -> Iterator[None]:
    """The line is written, to nowhere."""
    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
        yield


def _steps(job: SeenJob) -> dict[str, float]:
    return {name: _us(step) for name, step in job.steps().items()}


def _us(step: Callable[[], object]) -> float:
    """The quickest batch: others work on this machine too."""
    return min(_batch_us(step) for _ in range(_BATCHES))


def _batch_us(step: Callable[[], object]) -> float:
    started_at = time.process_time()
    for _ in range(_REPEATS):
        step()
    return (time.process_time() - started_at) / _REPEATS * 1e6


async def _rounds(bootstrap_servers: str) -> tuple[Pairs, Pairs]:
    """CPU of this process a job, seen and unseen in turn."""
    topics = ("bench-metrics", "bench-errors")
    await ensure_topics(bootstrap_servers, topics, partitions=_PARTITIONS, replication_factor=1)
    with tempfile.TemporaryDirectory() as folder:
        async with (
            connect_kafka_producer(bootstrap_servers, "bench") as producer,
            connect_kafka_event_sink(
                producer,
                metrics_topic=topics[0],
                error_topic=topics[1],
                spool_folder=Path(folder),
                max_bytes=_SPOOL_BYTES,
            ) as sink,
        ):
            job = SeenJob(sink)
            await _round(job.seen, sink.settled, None)  # warm
            return await _pairs(job, sink.settled, None), await _pairs(job, sink.settled, JOBS_A_SECOND)


async def _pairs(job: SeenJob, settled: Settled, a_second: int | None) -> Pairs:
    pairs = Pairs([], [])
    for _ in range(_ROUNDS):
        pairs.seen_us.append(await _round(job.seen, settled, a_second))
        pairs.unseen_us.append(await _round(job.unseen, settled, a_second))
    return pairs


async def _round(one: Callable[[], Awaitable[None]], settled: Settled, a_second: int | None) -> float:
    loop = asyncio.get_running_loop()
    started_at, cpu_at = loop.time(), time.process_time()
    for number in range(_JOBS):
        due = started_at + number / a_second if a_second else 0.0
        await asyncio.sleep(due - loop.time() if due > loop.time() + _TICK_SECONDS else 0)
        await one()
    await settled()
    return (time.process_time() - cpu_at) / _JOBS * 1e6


def telemetry_lines(found: Telemetry) -> list[str]:
    """Markdown."""
    rows = [f"| {name} | {us:.1f} |" for name, us in found.steps_us.items()]
    redis = "; ".join(f"{name} {us:.1f}" for name, us in found.redis_us.items())
    return [
        f"## Being seen: CPU of gateway and worker a job, {_ROUNDS} rounds with and without in turn "
        "(wanted: at most 30 us)",
        "",
        f"Busy **{_told(found.busy)}**; at {JOBS_A_SECOND} jobs/s {_told(found.paced)}; two facts on Kafka "
        f"included. A fixed Python loop took {found.calibration_ms:.1f} ms of CPU meanwhile.",
        "",
        "| Step, alone | us |",
        "| --- | ---: |",
        *rows,
        "",
        f"CPU of Redis for storing a result, us: {redis}",
    ]


def _told(pairs: Pairs) -> str:
    return f"{pairs.cost_us:.1f} us ({min(pairs.costs_us):.1f}-{max(pairs.costs_us):.1f})"
