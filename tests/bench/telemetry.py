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
from shared.telemetry.logging import configure_logging
from tests.bench.seen_job import NullSink, SeenJob
from tests.bench.servers import Brokers
from tests.bench.sums_in_redis import redis_us_a_job

_PARTITIONS = 24
_ROUNDS, _SECONDS, _TICK_SECONDS = 3, 4.0, 0.02
_REPEATS, _BATCHES = 2_000, 5
_SPOOL_BYTES = 1 << 24

Say = Callable[[str], None]


@dataclass(frozen=True)
class Telemetry:
    """Microseconds of CPU a job."""

    jobs_a_second: int
    with_us: float
    without_us: float
    lowest_us: float
    highest_us: float
    steps_us: Mapping[str, float]
    redis_us: Mapping[str, float]

    @property
    def cost_us(self) -> float:
        return self.with_us - self.without_us


async def measure_telemetry(brokers: Brokers, jobs_a_second: int, say: Say) -> Telemetry:
    """Facts go to a real Kafka in the background, from the process that is measured."""
    with _silence():
        configure_logging("bench", "INFO", is_debug=False)
        steps = _steps(SeenJob(NullSink()))
        pairs = await _rounds(brokers.kafka.bootstrap_servers, jobs_a_second)
    say("telemetry: steps and rounds are measured")
    costs = [seen - unseen for seen, unseen in pairs]
    return Telemetry(
        jobs_a_second,
        with_us=statistics.median(seen for seen, _ in pairs),
        without_us=statistics.median(unseen for _, unseen in pairs),
        lowest_us=min(costs),
        highest_us=max(costs),
        steps_us=steps,
        redis_us=await redis_us_a_job(brokers.redis.url, SeenJob(NullSink()).amounts()),
    )


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


async def _rounds(bootstrap_servers: str, jobs_a_second: int) -> list[tuple[float, float]]:
    """CPU of this process a job, seen and unseen in turn, at the same pace."""
    topics = ("bench-metrics", "bench-errors")
    await ensure_topics(bootstrap_servers, topics, partitions=_PARTITIONS, replication_factor=1)
    pairs = []
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
            await _round(job.seen, jobs_a_second, sink.settled)  # warm
            for _ in range(_ROUNDS):
                seen = await _round(job.seen, jobs_a_second, sink.settled)
                pairs.append((seen, await _round(job.unseen, jobs_a_second, sink.settled)))
    return pairs


async def _round(
    one: Callable[[], Awaitable[object]], jobs_a_second: int, settled: Callable[[], Awaitable[None]]
) -> float:
    jobs, loop = round(jobs_a_second * _SECONDS), asyncio.get_running_loop()
    started_at, cpu_at = loop.time(), time.process_time()
    for number in range(jobs):
        due = started_at + number / jobs_a_second
        if due > loop.time() + _TICK_SECONDS:
            await asyncio.sleep(due - loop.time())
        await one()
    await settled()
    return (time.process_time() - cpu_at) / jobs * 1e6


def telemetry_lines(found: Telemetry) -> list[str]:
    """Markdown."""
    rows = [f"| {name} | {us:.1f} |" for name, us in found.steps_us.items()]
    redis = "; ".join(f"{name} {us:.1f}" for name, us in found.redis_us.items())
    return [
        f"## Being seen: CPU of gateway and worker a job, at {found.jobs_a_second} jobs/s, {_ROUNDS} rounds "
        "in turn (wanted: at most 30 us)",
        "",
        f"With {found.with_us:.1f} us, without {found.without_us:.1f} us: **{found.cost_us:.1f} us** "
        f"({found.lowest_us:.1f}-{found.highest_us:.1f}), two facts on Kafka included.",
        "",
        "| Step, alone | us |",
        "| --- | ---: |",
        *rows,
        "",
        f"CPU of Redis for storing a result, us: {redis}",
    ]
