"""Only a new job takes a hold, and whatever becomes of it gives it back."""

import asyncio
from datetime import timedelta

import pytest

from gateway.ports import QueueUnavailable
from gateway.service import Accepted, Answered, JobService, RequestRefused
from gateway.waits import Waits
from shared.adapters.memory_limiter import MemoryLimiter
from shared.adapters.memory_result_store import MemoryResultStore
from shared.domain.errors import ErrorCode
from shared.domain.job import Job
from shared.domain.limits import Limits, LimitTable
from shared.limits import JobLimits
from shared.ports import Begun, Run
from tests.support.jobs import make_failure, make_job, make_success
from tests.unit.gateway.test_service import HeldQueue


class Bench:
    """A gateway whose callers may have two jobs at once."""

    def __init__(self, **limits: int) -> None:
        self.store = MemoryResultStore(timedelta(hours=1))
        self.queue = HeldQueue()
        table = LimitTable(Limits(**(limits or {"jobs_in_flight": 2})))
        self.limits = JobLimits(table, MemoryLimiter(), lambda *_: None)
        self.service = JobService(self.store, self.queue, Waits(100), limits=self.limits)

    async def end(self, job: Job, *, fails: bool = False) -> None:
        """As a worker does."""
        result = make_failure(job) if fails else make_success(job)
        run = Run(job.id, "token", job.fingerprint)
        assert isinstance(await self.store.begin(run, 20, job.deadline), Begun)
        await self.limits.settle(job.id, result)
        await self.store.save(run, result)

    async def refused(self, job: Job) -> ErrorCode:
        with pytest.raises(RequestRefused) as refusal:
            await self.service.submit(job, 0)
        return refusal.value.error.error_code


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_beyond_the_limit_a_job_is_refused_and_its_id_is_free(bench: Bench) -> None:
    first, second, third = make_job(), make_job(), make_job()
    for job in (first, second):
        outcome = await bench.service.submit(job, 0)
        assert isinstance(outcome, Accepted)
    assert outcome.admission is not None
    assert outcome.admission.standing is not None
    assert outcome.admission.standing.in_flight == 2
    with pytest.raises(RequestRefused) as refusal:
        await bench.service.submit(third, 0)
    assert refusal.value.error.error_code is ErrorCode.LIMIT_EXCEEDED
    assert refusal.value.error.retryable
    assert refusal.value.admission is not None
    assert await bench.store.get(third.id) is None
    assert bench.queue.jobs == [first, second]
    # And when one has ended, the same request is admitted
    await bench.end(first)
    assert isinstance(await bench.service.submit(third, 0), Accepted)


async def test_a_replay_a_join_and_a_conflict_take_no_hold(bench: Bench) -> None:
    ended, running = make_job(), make_job()
    await bench.service.submit(ended, 0)
    await bench.end(ended)
    await bench.service.submit(running, 0)
    # Given room for one more job
    for _ in range(3):
        replay = await bench.service.submit(ended, 0)
        assert isinstance(replay, Answered)
        assert (replay.is_replay, replay.admission) == (True, None)
        assert isinstance(await bench.service.submit(running, 0), Accepted)
        conflict = make_job(request_id=running.id.request_id, user_prompt="else")
        assert await bench.refused(conflict) is ErrorCode.DUPLICATE_REQUEST_ID
    # Then there is still room for exactly one
    assert isinstance(await bench.service.submit(make_job(), 0), Accepted)
    assert await bench.refused(make_job()) is ErrorCode.LIMIT_EXCEEDED


async def test_a_replay_is_answered_when_nothing_more_is_allowed() -> None:
    bench = Bench(requests_per_minute=1)
    job = make_job()
    await bench.service.submit(job, 0)
    await bench.end(job)
    assert await bench.refused(make_job()) is ErrorCode.LIMIT_EXCEEDED
    assert isinstance(await bench.service.submit(job, 0), Answered)


async def test_a_failure_that_is_run_again_is_a_new_job() -> None:
    bench = Bench(requests_per_minute=2)
    job = make_job()
    for _ in range(2):
        assert isinstance(await bench.service.submit(job, 0), Accepted)
        await bench.end(job, fails=True)
    assert await bench.refused(job) is ErrorCode.LIMIT_EXCEEDED


async def test_what_the_queue_refuses_counts_nothing() -> None:
    bench = Bench(requests_per_minute=1, jobs_in_flight=1)
    bench.queue.is_away = True
    for _ in range(3):
        with pytest.raises(QueueUnavailable):
            await bench.service.submit(make_job(), 0)
    bench.queue.is_away = False
    assert isinstance(await bench.service.submit(make_job(), 0), Accepted)


async def test_a_hundred_at_once_against_a_budget_for_ten() -> None:
    bench = Bench(requests_per_minute=10)
    outcomes = await asyncio.gather(
        *(bench.service.submit(make_job(), 0) for _ in range(100)), return_exceptions=True
    )
    assert sum(isinstance(outcome, Accepted) for outcome in outcomes) == 10
    assert sum(isinstance(outcome, RequestRefused) for outcome in outcomes) == 90
    assert len(bench.queue.jobs) == 10
