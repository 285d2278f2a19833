"""The straight line of a job, over the memory store."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest

from shared.adapters.memory_response_cache import MemoryResponseCache
from shared.adapters.memory_result_store import MemoryResultStore
from shared.domain.caching import CachePolicy
from shared.domain.errors import ErrorCode
from shared.domain.events import JobFailed, JobFinished
from shared.domain.job import Job, JobId
from shared.domain.result import Failed, Succeeded
from shared.domain.timestamps import rfc3339
from shared.ports import (
    Begun,
    Conflicting,
    Deleted,
    Finished,
    Held,
    ResultLogUnavailable,
    Run,
    StoreUnavailable,
)
from tests.support.jobs import RecordingSink, make_job, make_success
from tests.support.processors import make_processor
from worker.call_sharing import CallSharing
from worker.leases import Leases, keep_leases
from worker.ports import (
    CallHistory,
    CircuitOpen,
    Completion,
    LLMError,
    OutcomeUnknown,
    Partial,
    RateLimited,
    Rejected,
)
from worker.result_log import NoResultLog
from worker.service import Done, JobProcessor, LookAgain, Poisoned


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class FakeLLM:
    """Answers, or raises what it is given."""

    fault: Exception | None = None
    calls: list[int] = field(default_factory=list)
    gate: asyncio.Event | None = None
    called: asyncio.Event = field(default_factory=asyncio.Event)

    async def complete(self, job: Job, history: CallHistory, partial: Partial | None = None) -> Completion:
        history.calls += 1
        self.calls.append(history.first_attempt)
        self.called.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return Completion(
            model=job.model,
            message={"role": "assistant", "content": "Paris"},
            finish_reason="stop",
            confidence=0.9,
            usage=None,
            latency_ms=1.0,
        )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemoryResultStore:
    return MemoryResultStore(timedelta(days=10_000), clock=clock)


@pytest.fixture
async def leases(store: MemoryResultStore) -> AsyncIterator[Leases]:
    async with keep_leases(store, lease_seconds=20) as leases:
        yield leases


@pytest.fixture
def llm() -> FakeLLM:
    return FakeLLM()


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


@pytest.fixture
def processor(store: MemoryResultStore, llm: FakeLLM, sink: RecordingSink, leases: Leases) -> JobProcessor:
    return make_processor(store, llm, sink, leases)


async def result_of(store: MemoryResultStore, job: Job) -> Succeeded | Failed:
    known = await store.get(job.id)
    assert isinstance(known, Finished)
    return known.result


async def interrupt(store: MemoryResultStore, clock: Clock, job: Job, times: int) -> None:
    """Runs that begin and never end, as a kill leaves them."""
    for number in range(times):
        begun = await store.begin(Run(job.id, f"dead-{number}", job.fingerprint), 20, job.deadline)
        assert isinstance(begun, Begun)
        clock.now += 21


async def test_a_job_is_called_once_stored_and_told(
    processor: JobProcessor, store: MemoryResultStore, llm: FakeLLM, sink: RecordingSink
) -> None:
    job = make_job(metadata={"team": "a"})
    assert await processor.process(job) == Done()
    result = await result_of(store, job)
    assert isinstance(result, Succeeded)
    assert (result.message["content"], result.attempts, result.metadata) == ("Paris", 1, {"team": "a"})
    assert [event.status for event in sink.of(JobFinished)] == ["succeeded"]
    # And the same record again calls nobody
    again = await processor.process(job)
    assert isinstance(again, Done)
    assert again.is_duplicate
    assert llm.calls == [1]
    # And tells the same fact again: who ended the job may have died before it could
    first, again = sink.of(JobFinished)
    assert again == first
    assert first.timestamp == rfc3339(result.completed_at)


async def test_a_fact_that_is_told_again_is_not_counted_again(
    store: MemoryResultStore, llm: FakeLLM, leases: Leases
) -> None:
    counted, uncounted = RecordingSink(), RecordingSink()
    processor = make_processor(store, llm, counted, leases, told_again=uncounted)
    job = make_job()
    await processor.process(job)
    await processor.process(job)
    assert len(counted.of(JobFinished)) == 1
    assert uncounted.of(JobFinished) == counted.of(JobFinished)


async def test_the_result_of_another_run_is_told_and_not_counted(
    store: MemoryResultStore, llm: FakeLLM, leases: Leases, clock: Clock
) -> None:
    counted, uncounted = RecordingSink(), RecordingSink()
    processor = make_processor(store, llm, counted, leases, told_again=uncounted)
    job = make_job()
    llm.gate = asyncio.Event()
    frozen = asyncio.create_task(processor.process(job))
    await llm.called.wait()
    clock.now += 60
    other = Run(job.id, "another", job.fingerprint)
    await store.begin(other, 20, job.deadline)
    await store.save(other, make_success(job, "Lyon"))
    llm.gate.set()
    await frozen
    assert counted.of(JobFinished) == []
    assert len(uncounted.of(JobFinished)) == 1


async def test_two_records_of_one_job_make_one_call(processor: JobProcessor, llm: FakeLLM) -> None:
    llm.gate = asyncio.Event()
    job = make_job()
    first = asyncio.create_task(processor.process(job))
    await llm.called.wait()
    assert isinstance(await processor.process(job), LookAgain)
    llm.gate.set()
    assert await first == Done()
    assert await processor.process(job) == Done()
    assert llm.calls == [1]


async def test_a_job_that_another_worker_runs_is_looked_at_when_its_lease_ends(
    processor: JobProcessor, store: MemoryResultStore, clock: Clock, llm: FakeLLM
) -> None:
    job = make_job()
    await store.begin(Run(job.id, "other", job.fingerprint), 20, job.deadline)
    clock.now += 5
    assert await processor.process(job) == LookAgain(15)
    assert llm.calls == []


async def test_a_job_whose_worker_died_runs_again_and_says_what_it_may_have_cost(
    processor: JobProcessor, store: MemoryResultStore, clock: Clock, llm: FakeLLM
) -> None:
    job = make_job()
    await interrupt(store, clock, job, times=1)
    assert await processor.process(job) == Done()
    result = await result_of(store, job)
    assert result.possible_duplicate_charge
    assert (result.attempts, llm.calls) == (2, [2])


async def test_on_unknown_fail_is_never_called_a_second_time(
    processor: JobProcessor, store: MemoryResultStore, clock: Clock, llm: FakeLLM
) -> None:
    job = make_job(on_unknown="fail")
    await interrupt(store, clock, job, times=1)
    assert await processor.process(job) == Done()
    result = await result_of(store, job)
    assert isinstance(result, Failed)
    assert result.error.error_code is ErrorCode.UNKNOWN_OUTCOME
    assert llm.calls == []


async def test_a_job_that_keeps_killing_workers_fails_and_is_poisoned(
    processor: JobProcessor, store: MemoryResultStore, clock: Clock, llm: FakeLLM
) -> None:
    job = make_job()
    await interrupt(store, clock, job, times=3)
    outcome = await processor.process(job)
    assert isinstance(outcome, Poisoned)
    assert outcome.error.error_code is ErrorCode.TOO_MANY_RUNS
    assert isinstance(await result_of(store, job), Failed)
    assert llm.calls == []


async def test_a_job_past_its_deadline_is_never_called(
    processor: JobProcessor, store: MemoryResultStore, llm: FakeLLM
) -> None:
    job = make_job(deadline_in=timedelta(seconds=-1))
    assert await processor.process(job) == Done()
    result = await result_of(store, job)
    assert (result.status, llm.calls) == ("expired", [])


async def test_a_running_job_is_cut_off_at_its_deadline(
    processor: JobProcessor, store: MemoryResultStore, llm: FakeLLM
) -> None:
    llm.gate = asyncio.Event()
    job = make_job(deadline_in=timedelta(seconds=0.05))
    assert await processor.process(job) == Done()
    result = await result_of(store, job)
    assert (result.status, result.attempts) == ("expired", 1)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (RateLimited("slow down", retry_after_seconds=7), ErrorCode.UPSTREAM_RATE_LIMITED),
        (Rejected(ErrorCode.CONTEXT_TOO_LONG, "too long"), ErrorCode.CONTEXT_TOO_LONG),
        (OutcomeUnknown(ErrorCode.UPSTREAM_TIMEOUT, "silence"), ErrorCode.UPSTREAM_TIMEOUT),
        (ZeroDivisionError(), ErrorCode.INTERNAL_ERROR),
    ],
)
async def test_a_failure_is_a_result(
    processor: JobProcessor,
    store: MemoryResultStore,
    llm: FakeLLM,
    sink: RecordingSink,
    fault: Exception,
    code: ErrorCode,
) -> None:
    llm.fault = fault
    job = make_job()
    assert await processor.process(job) == Done()
    result = await result_of(store, job)
    assert isinstance(result, Failed)
    assert result.error.error_code is code
    assert [event.error["error_code"] for event in sink.of(JobFailed)] == [code]


async def test_the_providers_words_reach_the_caller_and_no_event(
    processor: JobProcessor, store: MemoryResultStore, llm: FakeLLM, sink: RecordingSink
) -> None:
    fault: LLMError = Rejected(ErrorCode.UPSTREAM_REJECTED, "refused", provider_message="about 'my prompt'")
    llm.fault = fault
    job = make_job()
    await processor.process(job)
    result = await result_of(store, job)
    assert isinstance(result, Failed)
    assert result.error.details == {"provider_message": "about 'my prompt'"}
    assert "my prompt" not in repr(sink.events)


async def test_another_question_under_the_same_id_is_told_and_left_alone(
    processor: JobProcessor, llm: FakeLLM, sink: RecordingSink
) -> None:
    job = make_job()
    await processor.process(job)
    impostor = make_job(request_id=job.id.request_id, user_prompt="Something else")
    assert await processor.process(impostor) == Done()
    assert [event.error["error_code"] for event in sink.of(JobFailed)] == [ErrorCode.DUPLICATE_REQUEST_ID]
    assert llm.calls == [1]


class FlakyStore(MemoryResultStore):
    """Away for the next calls of one kind."""

    begins_away = 0
    begin_replies_lost = 0
    saves_away = 0

    async def begin(
        self,
        run: Run,
        lease_seconds: float,
        expires_at: datetime,
        *,
        asked_at: datetime | None = None,
        needs_history: bool = False,
    ) -> Begun | Held | Finished | Conflicting | Deleted:
        if self.begins_away:
            self.begins_away -= 1
            raise StoreUnavailable("away")
        begun = await super().begin(run, lease_seconds, expires_at, asked_at=asked_at)
        if self.begin_replies_lost:
            self.begin_replies_lost -= 1
            raise StoreUnavailable("the reply got lost")
        return begun

    async def save(self, run: Run, result: Succeeded | Failed) -> Succeeded | Failed | None:
        if self.saves_away:
            self.saves_away -= 1
            raise StoreUnavailable("away")
        return await super().save(run, result)


async def test_a_store_that_is_away_costs_time_and_never_a_paid_answer(
    llm: FakeLLM, sink: RecordingSink
) -> None:
    store = FlakyStore(timedelta(days=1))
    async with keep_leases(store, lease_seconds=20) as leases:
        processor = make_processor(store, llm, sink, leases, store_away_seconds=0.01)
        job = make_job()
        # Given a store that is away for long
        store.begins_away = 10
        assert isinstance(await processor.process(job), LookAgain)
        assert llm.calls == []
        # And one whose replies get lost, when the run begins and when the answer is there
        store.begin_replies_lost = 1
        store.saves_away = 3
        assert await processor.process(job) == Done()
    result = await result_of(store, job)
    assert isinstance(result, Succeeded)
    assert not result.possible_duplicate_charge
    assert llm.calls == [1]


async def test_a_run_that_lost_its_lease_does_not_overwrite(
    processor: JobProcessor, store: MemoryResultStore, clock: Clock, llm: FakeLLM
) -> None:
    # Given a run whose worker froze past its lease, while another took over
    llm.gate = asyncio.Event()
    job = make_job()
    frozen = asyncio.create_task(processor.process(job))
    await llm.called.wait()
    clock.now += 21
    other = Run(job.id, "other", job.fingerprint)
    assert isinstance(await store.begin(other, 20, job.deadline), Begun)
    # When the frozen one wakes and has its answer
    llm.gate.set()
    # Then it stores nothing, and looks again for the other's result
    assert isinstance(await frozen, LookAgain)
    assert not isinstance(await store.get(job.id), Finished)


class RecordingLog(NoResultLog):
    """Keeps every copy, or is away for the next ones."""

    def __init__(self) -> None:
        self.copies: list[tuple[Run, Succeeded | Failed]] = []
        self.appends_away = 0

    async def append(self, run: Run, result: Succeeded | Failed) -> None:
        if self.appends_away:
            self.appends_away -= 1
            raise ResultLogUnavailable("away")
        self.copies.append((run, result))


async def test_every_result_is_copied_before_its_record_is_finished(
    store: MemoryResultStore, llm: FakeLLM, sink: RecordingSink, leases: Leases
) -> None:
    log = RecordingLog()
    processor = make_processor(store, llm, sink, leases, log=log, store_away_seconds=0.001)
    job = make_job()
    # Given a log that is away for a while
    log.appends_away = 3
    # When the job is processed, then its copy is there afterwards
    assert await processor.process(job) == Done()
    [(run, copy)] = log.copies
    assert (run.id, run.fingerprint, copy) == (job.id, job.fingerprint, await result_of(store, job))
    # And a direct producer who sends it again is told again, without a call
    assert await processor.process(job) == Done()
    assert [result for _, result in log.copies] == [copy, copy]
    assert llm.calls == [1]


async def test_a_job_that_is_cancelled_before_its_start_is_never_called(
    processor: JobProcessor, store: MemoryResultStore, llm: FakeLLM
) -> None:
    job = make_job()
    await store.reserve(job.id, job.fingerprint, "claim", job.deadline)
    await store.cancel(job.id)
    assert await processor.process(job) == Done()
    result = await result_of(store, job)
    assert isinstance(result, Failed)
    assert (result.status, result.error.error_code, result.attempts) == (
        "cancelled",
        ErrorCode.JOB_CANCELLED,
        0,
    )
    assert llm.calls == []


async def test_a_running_job_that_is_cancelled_is_cut_off_with_the_next_renewal(
    processor: JobProcessor, store: MemoryResultStore, llm: FakeLLM, leases: Leases
) -> None:
    # Given a job during its call
    llm.gate = asyncio.Event()
    job = make_job()
    running = asyncio.create_task(processor.process(job))
    await llm.called.wait()
    # When it is cancelled and the leases are renewed
    await store.cancel(job.id)
    await leases.renew()
    # Then the call is cut off, and counted
    assert await running == Done()
    result = await result_of(store, job)
    assert (result.status, result.attempts) == ("cancelled", 1)


async def test_a_deleted_job_needs_nothing_more(
    processor: JobProcessor, store: MemoryResultStore, llm: FakeLLM
) -> None:
    job = make_job()
    assert await processor.process(job) == Done()
    await store.delete(job.id)
    assert await processor.process(job) == Done()
    assert llm.calls == [1]


class Away(MemoryResultStore):
    """The memory that stands in for a store that is away: it knows nothing of earlier runs."""

    async def begin(
        self,
        run: Run,
        lease_seconds: float,
        expires_at: datetime,
        *,
        asked_at: datetime | None = None,
        needs_history: bool = False,
    ) -> Begun | Held | Finished | Conflicting | Deleted:
        if needs_history:
            raise StoreUnavailable("away")
        begun = await super().begin(run, lease_seconds, expires_at, asked_at=asked_at)
        return replace(begun, knows_history=False) if isinstance(begun, Begun) else begun

    async def is_available(self) -> bool:
        return False


@pytest.mark.parametrize("may_have_run", [True, False])
async def test_what_nobody_can_know_while_the_store_is_away_is_admitted(
    llm: FakeLLM, sink: RecordingSink, may_have_run: bool
) -> None:
    store = Away(timedelta(days=1))
    async with keep_leases(store, lease_seconds=20) as leases:
        processor = make_processor(store, llm, sink, leases)
        job, careful = make_job(), make_job(on_unknown="fail")
        # A job that another worker may have begun is called, and says so
        assert await processor.process(job, may_have_run=may_have_run) == Done()
        assert (await result_of(store, job)).possible_duplicate_charge is may_have_run
        # And one that must not be called twice waits
        outcome = await processor.process(careful, may_have_run=may_have_run)
        assert isinstance(outcome, LookAgain if may_have_run else Done)
        assert len(llm.calls) == (1 if may_have_run else 2)


class ToldLog(NoResultLog):
    """A log that tells what has ended, or cannot be read."""

    def __init__(self) -> None:
        self.ended: set[JobId] = set()
        self.is_away = False

    async def has_ended(self, job_id: JobId, since: float) -> bool:
        if self.is_away:
            raise ResultLogUnavailable("away")
        return job_id in self.ended


async def test_what_ended_elsewhere_is_not_called_while_the_store_is_away(
    llm: FakeLLM, sink: RecordingSink
) -> None:
    store, log = Away(timedelta(days=1)), ToldLog()
    async with keep_leases(store, lease_seconds=20) as leases:
        processor = make_processor(store, llm, sink, leases, log=log)
        ended, unknown = make_job(), make_job()
        log.ended.add(ended.id)
        assert isinstance(await processor.process(ended, may_have_run=True), LookAgain)
        log.is_away = True
        assert isinstance(await processor.process(unknown, may_have_run=True), LookAgain)
        assert llm.calls == []
        log.is_away = False
        assert await processor.process(unknown, may_have_run=True) == Done()


class LeavingStore(Away):
    """It was there when it was asked, and is away when the run begins."""

    async def is_available(self) -> bool:
        return True


@pytest.mark.parametrize("on_unknown", ["retry", "fail"])
async def test_a_store_that_leaves_just_now_is_not_taken_for_one_that_knows(
    llm: FakeLLM, sink: RecordingSink, on_unknown: Literal["retry", "fail"]
) -> None:
    store = LeavingStore(timedelta(days=1))
    async with keep_leases(store, lease_seconds=20) as leases:
        processor = make_processor(store, llm, sink, leases, log=ToldLog(), store_away_seconds=0.01)
        job = make_job(on_unknown=on_unknown)
        assert isinstance(await processor.process(job, may_have_run=True), LookAgain)
        assert llm.calls == []


async def test_a_job_that_is_held_does_not_begin_and_begins_when_it_is_not(
    store: MemoryResultStore, llm: FakeLLM, sink: RecordingSink, leases: Leases
) -> None:
    holds = [3.0, 0.0]
    processor = make_processor(store, llm, sink, leases, hold_seconds=lambda _: holds.pop(0))
    job = make_job()
    # When nobody could be called, then the job stays in the queue, and nothing is known of it
    assert await processor.process(job) == LookAgain(3.0)
    assert (await store.get(job.id), llm.calls, processor.meter.running) == (None, [], 0)
    # And it runs when it is looked at again
    assert await processor.process(job) == Done()
    assert llm.calls == [1]


async def test_an_answer_that_is_there_is_not_held(
    store: MemoryResultStore, llm: FakeLLM, sink: RecordingSink, leases: Leases
) -> None:
    sharing = CallSharing(MemoryResponseCache(10), CachePolicy("all", 60))
    known, late = make_job(), make_job()
    await make_processor(store, llm, sink, leases, sharing=sharing).process(known)
    processor = make_processor(store, llm, sink, leases, sharing=sharing, hold_seconds=lambda _: 3.0)
    assert await processor.process(late) == Done()
    assert llm.calls == [1]
    assert await processor.process(make_job(user_prompt="something else")) == LookAgain(3.0)
    # Also one that wants no call is told so
    assert await processor.process(make_job(user_prompt="x", cache={"mode": "only"})) == Done()


async def test_an_answer_of_another_model_is_not_kept_for_others(
    store: MemoryResultStore, sink: RecordingSink, leases: Leases
) -> None:
    class Falling(FakeLLM):
        async def complete(
            self, job: Job, history: CallHistory, partial: Partial | None = None
        ) -> Completion:
            return replace(await super().complete(job, history, partial), model="other", is_fallback=True)

    llm, sharing = Falling(), CallSharing(MemoryResponseCache(10), CachePolicy("all", 60))
    processor = make_processor(store, llm, sink, leases, sharing=sharing)
    for seconds in (0, 1):  # the second asks when the first has its answer
        job = replace(make_job(), created_at=datetime.now(UTC) + timedelta(seconds=seconds))
        await processor.process(job)
        assert (await result_of(store, job)).model == "other"
    assert len(llm.calls) == 2


async def test_a_failure_says_when_to_come_again(
    processor: JobProcessor, store: MemoryResultStore, llm: FakeLLM
) -> None:
    llm.fault, job = CircuitOpen("nothing was asked", 4.5), make_job()
    await processor.process(job)
    result = await result_of(store, job)
    assert isinstance(result, Failed)
    assert (result.error.error_code, result.error.details, result.attempts) == (
        ErrorCode.UPSTREAM_UNAVAILABLE,
        {"retry_after_seconds": 4.5},
        0,
    )
    assert result.error.retryable
