"""The straight line of a request, over the memory store and a queue that a test holds."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from gateway.ports import QueueUnavailable
from gateway.service import Accepted, Answered, JobService, RequestRefused
from gateway.waits import Waits
from shared.adapters.memory_result_store import MemoryResultStore
from shared.domain.errors import ErrorCode
from shared.domain.job import Job, JobId
from shared.ports import Begun, Finished, Pending, Run, StoreUnavailable
from tests.support.jobs import make_failure, make_job, make_success


class HeldQueue:
    """Takes jobs and leaves them to the test."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.is_away = False
        self.arrived = asyncio.Event()

    async def enqueue(self, job: Job) -> None:
        if self.is_away:
            raise QueueUnavailable("away")
        self.jobs.append(job)
        self.arrived.set()

    async def is_available(self) -> bool:
        return not self.is_away


@pytest.fixture
def store() -> MemoryResultStore:
    return MemoryResultStore(timedelta(hours=1))


@pytest.fixture
def queue() -> HeldQueue:
    return HeldQueue()


@pytest.fixture
def service(store: MemoryResultStore, queue: HeldQueue) -> JobService:
    return JobService(store, queue, Waits(2))


async def begin(store: MemoryResultStore, job: Job) -> Run:
    run = Run(job.id, "token", job.fingerprint)
    assert isinstance(await store.begin(run, 20, job.deadline), Begun)
    return run


async def test_a_job_is_enqueued_and_its_result_answers_who_waits(
    service: JobService, store: MemoryResultStore, queue: HeldQueue
) -> None:
    job = make_job()
    waiting = asyncio.create_task(service.submit(job, 30))
    await queue.arrived.wait()
    result = make_success(job)
    await store.save(await begin(store, job), result)
    assert await waiting == Answered(result)
    assert queue.jobs == [job]
    # And the same again is a replay
    assert await service.submit(job, 30) == Answered(result, is_replay=True)
    assert queue.jobs == [job]


async def test_without_a_wait_the_job_is_accepted(service: JobService, queue: HeldQueue) -> None:
    job = make_job()
    outcome = await service.submit(job, 0)
    assert isinstance(outcome, Accepted)
    assert (outcome.job_id, outcome.status) == (job.id, "queued")
    assert queue.jobs == [job]


async def test_when_the_queue_refuses_the_id_is_free_again(
    service: JobService, store: MemoryResultStore, queue: HeldQueue
) -> None:
    job = make_job()
    queue.is_away = True
    with pytest.raises(QueueUnavailable):
        await service.submit(job, 30)
    assert await store.get(job.id) is None


async def test_who_joins_a_job_that_never_began_enqueues_it_again_before_a_promise(
    service: JobService, store: MemoryResultStore, queue: HeldQueue
) -> None:
    # Given a claim of a gateway that died before it could enqueue
    job = make_job()
    await store.reserve(job.id, job.fingerprint, "of the dead", job.deadline)
    # When the caller tries again, there
    outcome = await service.submit(job, 0)
    # Then the promise of 202 is kept by a record of its own
    assert isinstance(outcome, Accepted)
    assert queue.jobs == [job]


async def test_who_joins_a_running_job_enqueues_nothing(
    service: JobService, store: MemoryResultStore, queue: HeldQueue
) -> None:
    job = make_job()
    await begin(store, job)
    outcome = await service.submit(job, 0)
    assert isinstance(outcome, Accepted)
    assert (outcome.status, queue.jobs) == ("running", [])


async def test_a_strict_caller_does_not_join(service: JobService) -> None:
    job = make_job()
    await service.submit(job, 0)
    with pytest.raises(RequestRefused) as refusal:
        await service.submit(job, 0, is_strict=True)
    assert refusal.value.error.error_code is ErrorCode.REQUEST_IN_PROGRESS


async def test_another_question_under_the_id_is_refused(service: JobService) -> None:
    job = make_job()
    await service.submit(job, 0)
    with pytest.raises(RequestRefused) as refusal:
        await service.submit(make_job(request_id=job.id.request_id, user_prompt="else"), 0)
    assert refusal.value.error.error_code is ErrorCode.DUPLICATE_REQUEST_ID


async def test_a_failure_that_may_pass_is_enqueued_again(
    service: JobService, store: MemoryResultStore, queue: HeldQueue
) -> None:
    job = make_job()
    await service.submit(job, 0)
    await store.save(await begin(store, job), make_failure(job))
    assert isinstance(await service.submit(job, 0), Accepted)
    assert len(queue.jobs) == 2


async def test_beyond_the_quota_of_waits_the_answer_is_202_at_once(
    service: JobService, queue: HeldQueue
) -> None:
    waiting = [asyncio.create_task(service.submit(make_job(), 30)) for _ in range(2)]
    async with asyncio.timeout(5):
        while len(service.waits) < 2:
            await asyncio.sleep(0)
    assert isinstance(await service.submit(make_job(), 30), Accepted)
    service.waits.drain()
    assert all(isinstance(outcome, Accepted) for outcome in await asyncio.gather(*waiting))
    assert (len(service.waits), len(queue.jobs)) == (0, 3)


async def test_a_draining_gateway_holds_no_wait(service: JobService) -> None:
    service.waits.drain()
    assert isinstance(await service.submit(make_job(), 30), Accepted)


async def test_nobody_knows_an_unknown_id(service: JobService) -> None:
    assert await service.get(JobId("public", str(uuid4())), 30) is None


async def test_a_job_that_the_queue_has_is_accepted_even_if_the_store_goes_away(queue: HeldQueue) -> None:
    class LeavingStore(MemoryResultStore):
        async def get(self, job_id: JobId) -> Pending | Finished | None:
            raise StoreUnavailable("away")

    service = JobService(LeavingStore(timedelta(hours=1)), queue, Waits(2))
    job = make_job()
    outcome = await service.submit(job, 0)
    assert isinstance(outcome, Accepted)
    assert queue.jobs == [job]
