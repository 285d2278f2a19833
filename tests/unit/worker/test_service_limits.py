"""A direct producer's job takes its hold at its start; every end of a job gives it back before it is seen."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from shared.adapters.memory_limiter import MemoryLimiter
from shared.domain.errors import ErrorCode
from shared.domain.job import Job
from shared.domain.limits import Limits, LimitTable, Standing
from shared.domain.result import Failed, Succeeded
from shared.limits import JobLimits
from shared.ports import Finished, Run
from tests.support.jobs import RecordingSink, make_job
from tests.support.processors import make_processor
from tests.unit.worker.test_service import FakeLLM, FlakyStore, interrupt, result_of
from worker.leases import keep_leases
from worker.ports import OutcomeUnknown, Rejected
from worker.service import Done, JobProcessor, LookAgain, Poisoned

WORD = Rejected(ErrorCode.CONTENT_POLICY, "refused")


class Clock:
    """Time that passes when a test says so."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class WatchedStore(FlakyStore):
    """Notes how many holds there are at the moment when a result can be seen."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(timedelta(days=10_000), clock=clock)
        self.limits: JobLimits
        self.in_flight_when_stored: list[int] = []

    async def save(self, run: Run, result: Succeeded | Failed) -> Succeeded | Failed | None:
        stored = await super().save(run, result)
        self.in_flight_when_stored.append((await standing_of(self.limits)).in_flight)
        return stored


class Bench:
    """A worker whose owners may have so much."""

    def __init__(self, store: WatchedStore, llm: FakeLLM, clock: Clock) -> None:
        self.store, self.llm, self.clock = store, llm, clock
        self.processor: JobProcessor
        self.limits: JobLimits


async def standing_of(limits: JobLimits) -> Standing:
    """What is used now; who asks is not counted."""
    job = make_job()
    admission = await limits.take(job)
    assert admission is not None
    assert admission.standing is not None
    if admission.refusal is not None:
        return admission.standing
    await limits.give_back(job.id)
    used = admission.standing
    return Standing(used.requests - 1, 0, used.in_flight - 1, 0, 0, 0.0, 0.0, 0.0)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    clock = Clock()
    store, llm = WatchedStore(clock), FakeLLM()
    table = LimitTable(Limits(requests_per_minute=3, jobs_in_flight=2))
    bench = Bench(store, llm, clock)
    bench.limits = store.limits = JobLimits(table, MemoryLimiter(), lambda *_: None)
    async with keep_leases(store, lease_seconds=20) as leases:
        bench.processor = make_processor(
            store, llm, RecordingSink(), leases, store_away_seconds=0.001, limits=bench.limits
        )
        yield bench


async def test_a_direct_producers_job_takes_a_hold_while_it_runs(bench: Bench) -> None:
    bench.llm.gate = asyncio.Event()
    job = make_job()
    running = asyncio.create_task(bench.processor.process(job))
    await bench.llm.called.wait()
    assert (await standing_of(bench.limits)).in_flight == 1
    bench.llm.gate.set()
    assert await running == Done()
    assert bench.store.in_flight_when_stored == [0]


async def test_beyond_the_limit_it_fails_without_a_call_and_may_be_asked_again(bench: Bench) -> None:
    jobs = [make_job() for _ in range(4)]
    for job in jobs:
        assert await bench.processor.process(job) == Done()
    refused = await result_of(bench.store, jobs[3])
    assert isinstance(refused, Failed)
    assert (refused.error.error_code, refused.error.retryable) == (ErrorCode.LIMIT_EXCEEDED, True)
    assert (refused.attempts, refused.cost_usd, bench.llm.calls) == (0, None, [1, 1, 1])


async def test_a_job_that_a_gateway_admitted_takes_no_second_hold(bench: Bench) -> None:
    jobs = [make_job() for _ in range(3)]
    for job in jobs[:2]:
        await bench.limits.take(job)
    for job in jobs[:2]:
        assert await bench.processor.process(job) == Done()
    assert (await standing_of(bench.limits)).requests == 2
    # And a duplicate of its record takes none either
    assert await bench.processor.process(jobs[0]) == Done()
    assert (await standing_of(bench.limits)).requests == 2


@pytest.mark.parametrize(
    "end", ["success", "failure", "crash", "expiry", "expiry before", "cancel", "cancel before"]
)
async def test_every_end_gives_the_hold_back(bench: Bench, end: str) -> None:
    job = make_job(deadline_in=timedelta(seconds={"expiry": 0.05, "expiry before": -1}.get(end, 60)))
    await bench.limits.take(job)
    await _end(bench, job, end)
    assert isinstance(await bench.store.get(job.id), Finished)
    assert bench.store.in_flight_when_stored == [0]


async def _end(bench: Bench, job: Job, end: str) -> None:
    bench.llm.fault = {"failure": WORD, "crash": ZeroDivisionError()}.get(end)
    if end in ("expiry", "cancel"):
        bench.llm.gate = asyncio.Event()
    await bench.store.reserve(job.id, job.fingerprint, "claim", job.deadline)
    if end == "cancel before":
        await bench.store.cancel(job.id)
    running = asyncio.create_task(bench.processor.process(job))
    if end == "cancel":
        await bench.llm.called.wait()
        await bench.store.cancel(job.id)
        await bench.processor._leases.renew()
    assert await running == Done()


async def test_a_job_that_keeps_killing_workers_gives_its_hold_back(bench: Bench) -> None:
    job = make_job()
    await bench.limits.take(job)
    await interrupt(bench.store, bench.clock, job, times=3)  # type: ignore[arg-type]
    assert isinstance(await bench.processor.process(job), Poisoned)
    assert bench.store.in_flight_when_stored == [0]


async def test_a_store_that_is_away_at_the_end_settles_once(bench: Bench) -> None:
    bench.store.saves_away = 3
    job = make_job()
    assert await bench.processor.process(job) == Done()
    standing = await standing_of(bench.limits)
    assert (standing.in_flight, standing.requests) == (0, 1)


async def test_an_unknown_outcome_is_a_failure_like_another(bench: Bench) -> None:
    bench.llm.fault = OutcomeUnknown(ErrorCode.UPSTREAM_TIMEOUT, "silence")
    assert not isinstance(await bench.processor.process(make_job()), LookAgain)
    assert bench.store.in_flight_when_stored == [0]
