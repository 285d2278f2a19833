"""How a job ends in every store: cut off, erased, brought back from a copy, and counted."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from redis.asyncio import Redis

from shared.domain.job import JobId
from shared.domain.result import Failed, Succeeded
from shared.domain.totals import tally
from shared.ports import Conflicting, Deleted, Finished, Pending, Reserved, Run
from tests.contract.examples import (
    ANOTHER_CLAIM,
    ANOTHER_QUESTION,
    failure_of,
    in_a_minute,
    run_of,
    some_job_id,
    success_of,
)
from tests.contract.result_stores import RETENTION, Stores, redis_stores
from tests.contract.steps import (
    LONG_LEASE,
    SHORT_LEASE,
    begin,
    begun_at_last,
    finish,
    pending_status,
    reserve,
    woken,
)
from tests.support.server import AnyRedis

Result = TypeVar("Result", Succeeded, Failed)


def aged(result: Result, age: timedelta = timedelta()) -> Result:
    """A copy is kept for as long as its result would have been: its age counts."""
    return result.model_copy(update={"completed_at": datetime.now(UTC) - age})


def fresh_success(job_id: JobId, text: str = "Paris", *, attempts: int = 1) -> Succeeded:
    return aged(success_of(job_id, text, attempts=attempts))


def fresh_failure(job_id: JobId, *, attempts: int = 1) -> Failed:
    return aged(failure_of(job_id, attempts=attempts))


# --- Cancelling ---


async def test_cancelling_an_unknown_id_does_nothing(stores: Stores) -> None:
    job_id = some_job_id()
    assert await stores.gateway.cancel(job_id) is None
    assert await stores.gateway.get(job_id) is None


async def test_whoever_begins_a_cancelled_job_is_told(stores: Stores) -> None:
    # Given a queued job that was cancelled
    job_id = some_job_id()
    await reserve(stores, job_id)
    known = await stores.gateway.cancel(job_id)
    assert isinstance(known, Pending)
    assert known.status == "queued"
    # When it begins, and a repeated begin asks once more, then both hear it
    begun = await begin(stores, job_id)
    assert begun.is_cancelled
    assert await stores.worker.begin(begun.run, LONG_LEASE, in_a_minute()) == begun


async def test_whoever_runs_a_cancelled_job_is_told_when_it_renews(stores: Stores) -> None:
    # Given two runs, of which one is cancelled
    run, other = (await begin(stores, some_job_id())).run, (await begin(stores, some_job_id())).run
    known = await stores.gateway.cancel(run.id)
    assert isinstance(known, Pending)
    assert known.status == "running"
    # When both renew, then that one is told, each time, and none is lost
    for _ in range(2):
        renewed = await stores.worker.renew([other, run], LONG_LEASE)
        assert (list(renewed.cancelled), list(renewed.lost)) == ([run], [])


async def test_a_finished_or_deleted_job_is_not_cancelled(stores: Stores) -> None:
    job_id = some_job_id()
    result = await finish(stores, job_id, success_of(job_id))
    assert await stores.gateway.cancel(job_id) == Finished(result)
    await stores.gateway.delete(job_id)
    assert await stores.gateway.cancel(job_id) == Deleted()


async def test_a_retry_of_a_cancelled_id_is_not_cancelled(stores: Stores) -> None:
    # Given a job whose failure overtook its cancelling
    job_id = some_job_id()
    run = (await begin(stores, job_id)).run
    await stores.gateway.cancel(job_id)
    await stores.worker.save(run, failure_of(job_id))
    # When it is asked again, then it runs
    assert await reserve(stores, job_id, claim=ANOTHER_CLAIM) == Reserved()
    begun = await begin(stores, job_id)
    assert not begun.is_cancelled
    assert (await stores.worker.renew([begun.run], LONG_LEASE)).cancelled == []


# --- Deleting ---


async def test_deleting_an_unknown_id_leaves_it_free(stores: Stores) -> None:
    job_id = some_job_id()
    assert await stores.gateway.delete(job_id) is None
    assert await reserve(stores, job_id) == Reserved()


@pytest.mark.parametrize("is_running", [False, True])
async def test_a_pending_job_is_not_deleted(stores: Stores, is_running: bool) -> None:
    job_id = some_job_id()
    await reserve(stores, job_id)
    if is_running:
        await begin(stores, job_id)
    before = await stores.gateway.get(job_id)
    assert isinstance(before, Pending)
    assert await stores.gateway.delete(job_id) == before
    assert await stores.gateway.get(job_id) == before


@pytest.mark.parametrize("is_success", [True, False])
async def test_a_deleted_id_stays_taken(stores: Stores, is_success: bool) -> None:
    # Given a result that was deleted, twice
    job_id = some_job_id()
    await finish(stores, job_id, success_of(job_id) if is_success else failure_of(job_id))
    assert await stores.gateway.delete(job_id) == Deleted()
    assert await stores.gateway.delete(job_id) == Deleted()
    # Then no caller and no run gets the id, and no late result or copy comes back under it
    assert await stores.gateway.get(job_id) == Deleted()
    assert await reserve(stores, job_id) == Deleted()
    assert await reserve(stores, job_id, question=ANOTHER_QUESTION) == Conflicting()
    assert await stores.worker.begin(run_of(job_id), LONG_LEASE, in_a_minute()) == Deleted()
    assert await stores.worker.save(run_of(job_id), success_of(job_id)) is None
    assert await stores.worker.restore(run_of(job_id), fresh_success(job_id)) is None
    assert await stores.gateway.get(job_id) == Deleted()


async def test_a_tombstone_is_kept_for_the_retention(stores: Stores) -> None:
    job_id, hour = some_job_id(), RETENTION.total_seconds()
    await finish(stores, job_id, success_of(job_id))
    await stores.gateway.delete(job_id)
    assert not await stores.is_forgotten_in(job_id, hour - 30)
    assert await stores.is_forgotten_in(job_id, hour + 1)


async def test_nothing_of_a_deleted_result_is_left_in_redis(redis_server: AnyRedis) -> None:
    # Given a result in Redis
    async with redis_stores(redis_server.url) as stores, Redis.from_url(redis_server.url) as client:
        job_id = some_job_id()
        await finish(stores, job_id, success_of(job_id, "a secret"))
        [key] = [key async for key in client.scan_iter(f"llm:job:*{job_id.request_id}")]
        assert b"a secret" in repr(await client.hgetall(key)).encode()
        # When it is deleted, then the id's fingerprint and state are all that is left
        await stores.gateway.delete(job_id)
        assert set(await client.hgetall(key)) == {b"fp", b"st"}
        [mark] = [mark async for mark in client.scan_iter(f"llm:gone:*{job_id.request_id}")]
        assert await client.get(mark) == b""


# --- Restoring ---


async def test_a_restored_result_is_stored_and_wakes_who_waits(stores: Stores) -> None:
    # Given a store that came back empty, and a caller who asked anew
    job_id = some_job_id()
    with stores.gateway.watch(job_id) as watch:
        await reserve(stores, job_id)
        # When the copy comes
        result = fresh_success(job_id)
        assert await stores.worker.restore(run_of(job_id), result) == result
        # Then the caller has it
        assert await woken(watch) == result
    assert await stores.gateway.get(job_id) == Finished(result)


async def test_an_unknown_result_is_restored(stores: Stores) -> None:
    job_id = some_job_id()
    result = fresh_failure(job_id)
    assert await stores.worker.restore(run_of(job_id), result) == result
    assert await stores.gateway.get(job_id) == Finished(result)


@pytest.mark.parametrize("is_final", [True, False])
async def test_a_copy_does_not_replace_a_final_result(stores: Stores, is_final: bool) -> None:
    job_id = some_job_id()
    result = await finish(stores, job_id, success_of(job_id, "first"))
    copy = fresh_success(job_id, "copy") if is_final else fresh_failure(job_id)
    assert await stores.worker.restore(run_of(job_id), copy) == result
    assert await stores.gateway.get(job_id) == Finished(result)


async def test_a_final_copy_replaces_a_failure_that_may_pass(stores: Stores) -> None:
    # Given a log with a failure and, of the run after it, the final result
    job_id = some_job_id()
    await stores.worker.restore(run_of(job_id), fresh_failure(job_id))
    # When both were read, in either order, then the final result is the one
    result = fresh_success(job_id, attempts=2)
    assert await stores.worker.restore(run_of(job_id), result) == result
    assert await stores.worker.restore(run_of(job_id), fresh_failure(job_id)) == result
    assert await reserve(stores, job_id) == Finished(result)


async def test_a_final_copy_is_stored_over_the_lease_of_another_run(stores: Stores) -> None:
    # Given a run
    job_id = some_job_id()
    run = (await begin(stores, job_id)).run
    # When a copy of the job's result comes, then the run is told so, and its own result is not stored
    result = fresh_success(job_id, "copy")
    assert await stores.worker.restore(run_of(job_id), result) == result
    assert (await stores.worker.renew([run], LONG_LEASE)).lost == [run]
    assert await stores.worker.save(run, success_of(job_id, "late")) == result
    assert await stores.gateway.get(job_id) == Finished(result)


async def test_a_copy_of_a_failure_that_may_pass_is_fenced_by_another_run(stores: Stores) -> None:
    job_id = some_job_id()
    run = (await begin(stores, job_id)).run
    assert await stores.worker.restore(run_of(job_id), fresh_failure(job_id)) is None
    assert await pending_status(stores.gateway, job_id) == "running"
    assert await stores.worker.save(run, success_of(job_id)) == success_of(job_id)


async def test_a_copy_of_a_failure_does_not_end_the_job_that_was_reserved_after_it(stores: Stores) -> None:
    # Given a failure that may pass, and a caller who asked again
    job_id = some_job_id()
    run = (await begin(stores, job_id)).run
    await stores.worker.save(run, failure := fresh_failure(job_id))
    await reserve(stores, job_id, claim=ANOTHER_CLAIM)
    # When its copy comes, then the job is still queued
    assert await stores.worker.restore(run, failure) is None
    assert await pending_status(stores.gateway, job_id) == "queued"


async def test_a_copy_never_answers_another_question(stores: Stores) -> None:
    job_id = some_job_id()
    await reserve(stores, job_id, question=ANOTHER_QUESTION)
    assert await stores.worker.restore(run_of(job_id), fresh_success(job_id)) is None
    assert await pending_status(stores.gateway, job_id) == "queued"


async def test_a_copy_is_kept_for_the_rest_of_its_retention(stores: Stores) -> None:
    job_id, hour = some_job_id(), RETENTION.total_seconds()
    result = aged(success_of(job_id), RETENTION / 2)
    assert await stores.worker.restore(run_of(job_id), result) == result
    assert not await stores.is_forgotten_in(job_id, hour / 2 - 30)
    assert await stores.is_forgotten_in(job_id, hour / 2 + 1)


async def test_a_copy_past_its_retention_is_not_stored(stores: Stores) -> None:
    job_id = some_job_id()
    old = aged(success_of(job_id), RETENTION + timedelta(seconds=1))
    assert await stores.worker.restore(run_of(job_id), old) is None
    assert await stores.gateway.get(job_id) is None


# --- Counting ---


async def test_each_result_counts_once(stores: Stores) -> None:
    # Given a result that is saved, saved again, and brought back from a copy
    job_id, before = some_job_id(), await stores.gateway.totals()
    run = (await begin(stores, job_id)).run
    for _ in range(2):
        await stores.worker.save(run, fresh_success(job_id, attempts=2))
    await stores.worker.restore(run, fresh_success(job_id, attempts=2))
    # Then it is in the totals once
    expected = {**tally(fresh_success(job_id)), "provider_calls": 2}
    assert added(before, await stores.gateway.totals()) == expected


async def test_a_restored_result_counts_once(stores: Stores) -> None:
    job_id, before = some_job_id(), await stores.gateway.totals()
    for _ in range(2):
        await stores.worker.restore(run_of(job_id), fresh_failure(job_id, attempts=3))
    assert added(before, await stores.gateway.totals()) == {
        **tally(failure_of(job_id)),
        "provider_calls": 3,
    }


async def test_a_result_that_is_not_stored_does_not_count(stores: Stores) -> None:
    job_id = some_job_id()
    frozen = (await begin(stores, job_id, lease_seconds=SHORT_LEASE)).run
    await begun_at_last(stores.worker, run_of(job_id), LONG_LEASE)
    before = await stores.gateway.totals()
    assert await stores.worker.save(frozen, success_of(job_id)) is None
    assert added(before, await stores.gateway.totals()) == {}


@pytest.mark.parametrize(("attempts", "new_calls"), [(5, 2), (1, 0)])
async def test_a_job_that_runs_again_counts_its_new_provider_calls(
    stores: Stores, attempts: int, new_calls: int
) -> None:
    # Given a job that failed after three calls and runs again
    job_id = some_job_id()
    await finish(stores, job_id, failure_of(job_id, attempts=3))
    await reserve(stores, job_id, claim=ANOTHER_CLAIM)
    run = (await begin(stores, job_id)).run
    before = await stores.gateway.totals()
    # When it ends, then the calls since then count: never fewer than none, though the run knew of none before
    await stores.worker.save(run, failure_of(job_id, attempts=attempts))
    expected = {**tally(failure_of(job_id)), "provider_calls": new_calls}
    assert added(before, await stores.gateway.totals()) == {name: n for name, n in expected.items() if n}


async def test_a_hundred_saves_at_once_count_what_is_stored(stores: Stores) -> None:
    # Given ten jobs, each with ten runs that nobody knows
    job_ids = [some_job_id() for _ in range(10)]
    runs: list[Run] = [run_of(job_id) for job_id in job_ids for _ in range(10)]
    before = await stores.gateway.totals()
    # When all of them save at once, over both connections
    sides = (stores.gateway, stores.worker)
    await asyncio.gather(*(sides[n % 2].save(run, success_of(run.id)) for n, run in enumerate(runs)))
    # Then ten results count
    totals = added(before, await stores.gateway.totals())
    assert (totals["jobs_succeeded"], totals["provider_calls"], totals["prompt_tokens"]) == (10, 10, 90)


# --- The steps that these tests make ---


def added(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    return {name: n - before.get(name, 0) for name, n in after.items() if n != before.get(name, 0)}
