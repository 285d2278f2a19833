"""A thousand slow calls at once on one worker: how long jobs wait for their call, and the memory it takes."""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import orjson
import psutil

from tests.bench.connection_pool import ConnectionPool
from tests.bench.cores import CpuMeter
from tests.bench.http_connection import get, post
from tests.bench.questions import Question, Tally, new_question
from tests.bench.servers import Service
from tests.bench.throughput import percentile
from tests.support.provider_ledger import Call
from tests.support.provider_process import ScriptedProvider

Say = Callable[[str], None]

_MIB = 1 << 20
_COLLECTORS = 64


@dataclass(frozen=True)
class Offer:
    """`per_second` times `call_seconds` calls are in flight after the first `call_seconds`."""

    per_second: int = 100
    slots: int = 1500
    """`WORKER_CONCURRENCY`: as many slots as calls would be a queue that is full, and so grows."""
    call_seconds: float = 10
    steady_seconds: float = 30

    @property
    def seconds(self) -> float:
        return self.call_seconds + self.steady_seconds


@dataclass(frozen=True)
class InFlight:
    """What came of an offer; delays are of jobs submitted in the steady part."""

    offer: Offer
    jobs: int
    peak_in_flight: int
    """Calls open at once, as the provider saw them."""
    repeated_calls: int
    queue_ms_p50: float
    queue_ms_p99: float
    arrival_ms_p50: float
    """From the moment the job was offered to its arrival at the provider."""
    arrival_ms_p99: float
    rss_mib: list[float]
    """Of the worker, each second of the steady part."""
    rss_growth: float
    """From the middle of the steady part to its end; 0.05 is 5 %."""
    cores: dict[str, float]
    """Busy in the steady part: gateway, worker, and foreign processes."""
    failed: int
    wrong: int
    first_problem: str


@dataclass
class _Job:
    question: Question
    offered_at: float
    queue_ms: float | None = None
    is_steady: bool = False


@dataclass
class _Run:
    pool: ConnectionPool
    tally: Tally = field(default_factory=Tally)
    jobs: list[_Job] = field(default_factory=list)
    rss_mib: list[float] = field(default_factory=list)
    cores: dict[str, float] = field(default_factory=dict)


async def measure_in_flight(
    service: Service, meter: CpuMeter, provider: ScriptedProvider, offer: Offer, say: Say
) -> InFlight:
    """Offer jobs at an even rate, whatever becomes of them, and then ask for every result."""
    provider.script(latency_ms=offer.call_seconds * 1000)
    run = _Run(ConnectionPool(service.port))
    watching = asyncio.create_task(_watch(run, psutil.Process(service.workers[0].pid), meter, offer, say))
    await _offer(run, offer)
    await watching
    say("all offered; waiting for the results")
    run.pool.close_idle()
    jobs = iter(run.jobs)
    await asyncio.gather(*(_collect(run, jobs, offer) for _ in range(_COLLECTORS)))
    run.pool.close_idle()
    return _summary(run, offer, provider.ledger())


async def _offer(run: _Run, offer: Offer) -> None:
    """By the clock: a slow gateway is not offered less."""
    loop = asyncio.get_running_loop()
    started_at = loop.time()
    submissions = []
    for number in range(round(offer.per_second * offer.seconds)):
        due_at = started_at + number / offer.per_second
        await asyncio.sleep(due_at - loop.time())
        is_steady = due_at - started_at >= offer.call_seconds
        submissions.append(asyncio.create_task(_submit(run, is_steady=is_steady)))
    await asyncio.gather(*submissions)


async def _submit(run: _Run, *, is_steady: bool) -> None:
    job = _Job(new_question(), time.time(), is_steady=is_steady)
    run.jobs.append(job)
    status, body, _ = await run.pool.ask(post("/submit", job.question.body))
    if status != 202:
        run.tally.failed += 1
        run.tally.problem(f"{status} {body[:300]!r} to a submission")


async def _collect(run: _Run, jobs: Iterator[_Job], offer: Offer) -> None:
    wait_seconds = round(offer.call_seconds * 2 + 30)
    for job in jobs:
        status, body, _ = await run.pool.ask(get(f"/result/{job.question.request_id}?wait={wait_seconds}"))
        run.tally.add(job.question, status, body, 0)
        if status == 200:
            job.queue_ms = orjson.loads(body)["performance"]["queue_ms"]


async def _watch(run: _Run, worker: psutil.Process, meter: CpuMeter, offer: Offer, say: Say) -> None:
    await asyncio.sleep(offer.call_seconds)
    meter.restart()
    for second in range(round(offer.steady_seconds) + 1):
        run.rss_mib.append(worker.memory_info().rss / _MIB)
        if second % 5 == 0:
            say(f"steady for {second} s: {len(run.jobs)} jobs offered, worker {run.rss_mib[-1]:.0f} MiB")
        await asyncio.sleep(1)
    use = meter.use()
    run.cores = {part: use.cores(part) for part in ("gateway", "worker")} | {"foreign": use.foreign_cores}


def _summary(run: _Run, offer: Offer, calls: list[Call]) -> InFlight:
    steady = [job for job in run.jobs if job.is_steady]
    queue_ms = [job.queue_ms for job in steady if job.queue_ms is not None]
    arrived_at = {call.message: call.arrived_at for call in reversed(calls)}  # the first call of each counts
    arrival_ms = []
    for job in steady:
        with suppress(KeyError):  # never arrived: it failed, and that is counted
            arrival_ms.append((arrived_at[job.question.prompt] - job.offered_at) * 1000)
    return InFlight(
        offer=offer,
        jobs=len(run.jobs),
        peak_in_flight=_peak([call.arrived_at for call in calls], offer.call_seconds),
        repeated_calls=len(calls) - len(arrived_at),
        queue_ms_p50=percentile(queue_ms, 50),
        queue_ms_p99=percentile(queue_ms, 99),
        arrival_ms_p50=percentile(arrival_ms, 50),
        arrival_ms_p99=percentile(arrival_ms, 99),
        rss_mib=run.rss_mib,
        rss_growth=_growth(run.rss_mib),
        cores=run.cores,
        failed=run.tally.failed,
        wrong=run.tally.wrong,
        first_problem=run.tally.first_problem,
    )


def _peak(arrivals: list[float], call_seconds: float) -> int:
    """The most calls that were open at once, each for `call_seconds`."""
    steps = [(at, 1) for at in arrivals] + [(at + call_seconds, -1) for at in arrivals]
    peak = open_calls = 0
    for _, step in sorted(steps):
        open_calls += step
        peak = max(peak, open_calls)
    return peak


def _growth(rss_mib: list[float]) -> float:
    middle, end = len(rss_mib) // 2, len(rss_mib)
    edge = max(1, end // 10)  # a few seconds at either end, not a single one
    first = statistics.mean(rss_mib[middle : middle + edge])
    return statistics.mean(rss_mib[end - edge :]) / first - 1
