"""What moves when the durable store is back. Over a real Redis: `integration/test_redis_fallback.py`."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from shared.adapters.fallback_result_store import FallbackResultStore
from shared.adapters.memory_result_store import MemoryResultStore
from shared.domain.job import JobId
from shared.domain.result import Failed, Succeeded
from shared.ports import (
    Begun,
    Conflicting,
    Deleted,
    Finished,
    Held,
    Pending,
    Reserved,
    Run,
    StoreUnavailable,
)
from tests.contract.examples import (
    A_CLAIM,
    ANOTHER_CLAIM,
    ANOTHER_QUESTION,
    QUESTION,
    failure_of,
    in_a_minute,
    run_of,
    some_job_id,
    success_of,
)

RETENTION = timedelta(hours=1)
LEASE = 60.0
Meanwhile = Callable[[], Awaitable[object]]


class DurableStore(MemoryResultStore):
    """One that can be away, and in whose round trips something can happen."""

    is_away = False
    meanwhile: Meanwhile | None = None

    async def is_available(self) -> bool:
        return not self.is_away

    async def reserve(
        self, job_id: JobId, fingerprint: str, claim: str, expires_at: datetime
    ) -> Reserved | Pending | Finished | Conflicting | Deleted:
        self._check()
        answer = await super().reserve(job_id, fingerprint, claim, expires_at)
        await self._pass()
        return answer

    async def save(self, run: Run, result: Succeeded | Failed) -> Succeeded | Failed | None:
        self._check()
        return await super().save(run, result)

    async def restore(self, run: Run, result: Succeeded | Failed) -> Succeeded | Failed | None:
        self._check()
        answer = await super().restore(run, result)
        await self._pass()
        return answer

    def _check(self) -> None:
        if self.is_away:
            raise StoreUnavailable("away")

    async def _pass(self) -> None:
        if self.meanwhile:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()


class Process:
    """Its store, and the two behind it; degraded from the start."""

    def __init__(self) -> None:
        self.durable, self.memory = DurableStore(RETENTION), MemoryResultStore(RETENTION)
        self.store = FallbackResultStore(self.durable, self.memory)

    async def lose(self) -> None:
        self.durable.is_away = True
        await self.store.probe()

    async def recover(self, meanwhile: Meanwhile | None = None) -> None:
        self.durable.is_away, self.durable.meanwhile = False, meanwhile
        await self.store.probe()


@pytest.fixture
async def process() -> Process:
    process = Process()
    await process.lose()
    return process


async def reserve(
    store: FallbackResultStore | MemoryResultStore, job_id: JobId, claim: str = A_CLAIM
) -> object:
    return await store.reserve(job_id, QUESTION, claim, in_a_minute())


async def begin(store: FallbackResultStore | MemoryResultStore, job_id: JobId) -> Run:
    begun = await store.begin(run_of(job_id), LEASE, in_a_minute())
    assert isinstance(begun, Begun)
    return begun.run


def fresh_success(job_id: JobId, text: str = "Paris") -> Succeeded:
    return success_of(job_id, text).model_copy(update={"completed_at": datetime.now(UTC)})


def fresh_failure(job_id: JobId) -> Failed:
    return failure_of(job_id).model_copy(update={"completed_at": datetime.now(UTC)})


# --- What moves ---


async def test_a_claim_moves_with_its_end(process: Process) -> None:
    # Given a job that was claimed while the store was away
    job_id, deadline = some_job_id(), in_a_minute()
    await process.store.reserve(job_id, QUESTION, A_CLAIM, deadline)
    # When the store is back, then the claim is there, for as long as it was here
    await process.recover()
    assert not process.memory.knows(job_id)
    assert await process.durable.get(job_id) == Pending("queued", deadline + RETENTION)
    assert await reserve(process.store, job_id) == Reserved()
    assert isinstance(await reserve(process.store, job_id, ANOTHER_CLAIM), Pending)


@pytest.mark.parametrize("is_reserved", [True, False])
async def test_a_run_moves_with_its_lease_and_wakes_who_waits(process: Process, is_reserved: bool) -> None:
    # Given a job that began while the store was away, and a caller who waits
    job_id = some_job_id()
    if is_reserved:
        await reserve(process.store, job_id)
    run = await begin(process.store, job_id)
    with process.store.watch(job_id) as watch:
        assert isinstance(await process.store.get(job_id), Pending)
        # When the store is back, then the run goes on there, and its result reaches the caller
        await process.recover()
        assert not process.memory.knows(job_id)
        assert (await process.store.renew([run], LEASE)).lost == []
        await process.durable.save(run, success_of(job_id))
        assert await asyncio.wait_for(watch.result(), 5) == success_of(job_id)


async def test_a_result_moves(process: Process) -> None:
    job_id = some_job_id()
    run = await begin(process.store, job_id)
    result = fresh_success(job_id)
    await process.store.save(run, result)
    await process.recover()
    assert not process.memory.knows(job_id)
    assert await process.durable.get(job_id) == Finished(result)
    assert (await process.store.totals())["jobs_succeeded"] == 1


async def test_a_success_replaces_the_failure_before_it(process: Process) -> None:
    # Given a job that failed, and ran again while the store was away
    job_id = some_job_id()
    await process.recover()
    await process.store.restore(run_of(job_id), fresh_failure(job_id))
    await process.lose()
    await reserve(process.store, job_id, ANOTHER_CLAIM)
    run = await begin(process.store, job_id)
    result = fresh_success(job_id)
    await process.store.save(run, result)
    # When the store is back, then the success that its caller saw is the result
    await process.recover()
    assert await process.store.get(job_id) == Finished(result)


async def test_a_conflict_stays_where_its_caller_waits(process: Process) -> None:
    # Given an id that the store knows by another question
    job_id = some_job_id()
    await process.recover()
    await process.store.reserve(job_id, ANOTHER_QUESTION, ANOTHER_CLAIM, in_a_minute())
    await process.lose()
    # When it is used, and cancelled, while the store is away
    await reserve(process.store, job_id)
    await process.store.cancel(job_id)
    await process.recover()
    # Then it ends here, and the other question was not touched
    run = await begin(process.store, job_id)
    assert await process.store.save(run, success_of(job_id)) == success_of(job_id)
    other = await process.durable.begin(run_of(job_id, ANOTHER_QUESTION), LEASE, in_a_minute())
    assert isinstance(other, Begun)
    assert not other.is_cancelled


@pytest.mark.parametrize("is_running", [False, True])
async def test_a_cancel_mark_moves(process: Process, is_running: bool) -> None:
    job_id = some_job_id()
    await reserve(process.store, job_id)
    run = await begin(process.store, job_id) if is_running else run_of(job_id)
    await process.store.cancel(job_id)
    await process.recover()
    begun = await process.store.begin(run, LEASE, in_a_minute())
    assert isinstance(begun, Begun)
    assert begun.is_cancelled
    assert (await process.durable.renew([run], LEASE)).cancelled == [run]


async def test_a_tombstone_erases_what_the_store_kept(process: Process) -> None:
    # Given a result that the store took, although its reply got lost, and that was deleted meanwhile
    job_id = some_job_id()
    run = run_of(job_id)
    await MemoryResultStore.save(process.durable, run, success_of(job_id))
    await process.store.save(run, success_of(job_id))
    assert await process.store.delete(job_id) == Deleted()
    # When the store is back, then it is erased there too
    await process.recover()
    assert await process.durable.get(job_id) == Deleted()


# --- What happens meanwhile ---


async def test_a_result_that_comes_in_while_its_job_moves_moves_too(process: Process) -> None:
    job_id = some_job_id()
    await reserve(process.store, job_id)
    run = await begin(process.store, job_id)
    result = fresh_success(job_id)
    await process.recover(meanwhile=lambda: process.store.save(run, result))
    assert not process.memory.knows(job_id)
    assert await process.durable.get(job_id) == Finished(result)


async def test_a_result_that_is_deleted_while_it_moves_does_not_come_back(process: Process) -> None:
    job_id = some_job_id()
    await process.store.save(run_of(job_id), fresh_success(job_id))
    await process.recover(meanwhile=lambda: process.store.delete(job_id))
    assert await process.durable.get(job_id) == await process.store.get(job_id) == Deleted()


async def test_an_id_that_is_given_back_while_it_moves_is_free(process: Process) -> None:
    job_id = some_job_id()
    await reserve(process.store, job_id)
    await process.recover(meanwhile=lambda: process.store.release(job_id, A_CLAIM))
    assert await process.store.get(job_id) is None


async def test_a_failure_that_is_asked_again_while_it_moves_is_reserved(process: Process) -> None:
    job_id = some_job_id()
    await process.store.save(run_of(job_id), fresh_failure(job_id))
    await process.recover(meanwhile=lambda: reserve(process.store, job_id, ANOTHER_CLAIM))
    assert isinstance(await process.durable.get(job_id), Pending)
    await begin(process.store, job_id)


async def test_a_job_that_lives_here_still_has_no_history(process: Process) -> None:
    # Given a job of memory, and a worker that begins it just when the store is back
    job_id = some_job_id()
    await reserve(process.store, job_id)
    answers: list[object] = []

    async def begin_meanwhile() -> None:
        answers.append(await process.store.begin(run_of(job_id), LEASE, in_a_minute()))

    await process.recover(meanwhile=begin_meanwhile)
    [begun] = answers
    assert isinstance(begun, Begun)
    assert not begun.knows_history


# --- What is told ---


async def test_totals_are_those_of_the_store_that_answers(process: Process) -> None:
    # Given a result in the durable store
    await process.recover()
    await process.store.save(run_of(job_id := some_job_id()), success_of(job_id))
    await process.lose()
    # When two come in memory, then those are told, and all of them when the store is back
    for _ in range(2):
        await process.store.save(run_of(job_id := some_job_id()), fresh_success(job_id))
    assert (await process.store.totals())["jobs_succeeded"] == 2
    await process.recover()
    assert (await process.store.totals())["jobs_succeeded"] == 3


async def test_who_waits_for_health_or_its_loss_is_told() -> None:
    # Given a healthy process
    process = Process()
    await asyncio.wait_for(process.store.until_healthy(), 5)
    degraded = asyncio.create_task(process.store.until_degraded())
    # When its store goes and comes back, then each wait ends in its time
    await asyncio.sleep(0)
    assert not degraded.done()
    await process.lose()
    await asyncio.wait_for(degraded, 5)
    healthy = asyncio.create_task(process.store.until_healthy())
    await asyncio.sleep(0)
    assert not healthy.done()
    await process.recover()
    await asyncio.wait_for(healthy, 5)


async def test_a_store_that_goes_again_while_jobs_move_is_not_healthy(process: Process) -> None:
    # Given a job to move
    await reserve(process.store, some_job_id())

    async def lose() -> None:
        process.durable.is_away = True
        await reserve(process.store, some_job_id())
        process.durable.is_away = False

    # When another caller finds the store away meanwhile
    await process.recover(meanwhile=lose)
    # Then the process is degraded until the next look
    healthy = asyncio.create_task(process.store.until_healthy())
    await asyncio.sleep(0)
    assert not healthy.done()
    assert not await process.store.is_available()
    await process.recover()
    await asyncio.wait_for(healthy, 5)


# --- What is remembered ---


@pytest.mark.parametrize("learnt", ["by storing it", "by being told"])
async def test_a_job_that_ended_before_is_not_begun_while_nobody_can_read_its_result(learnt: str) -> None:
    # Given a job that this process knows to have ended in the durable store
    process, job_id = Process(), some_job_id()
    run = await begin(process.store, job_id)
    await (process.store if learnt == "by storing it" else process.durable).save(run, fresh_success(job_id))
    if learnt == "by being told":
        await process.store.begin(run_of(job_id), LEASE, in_a_minute())
    # When its record comes again while the store is away, then it waits
    await process.lose()
    assert isinstance(await process.store.begin(run_of(job_id), LEASE, in_a_minute()), Held)
    # And one that is unknown here begins
    await begin(process.store, some_job_id())
    # And when the store is back, the result is told
    await process.recover()
    assert isinstance(await process.store.begin(run_of(job_id), LEASE, in_a_minute()), Finished)
