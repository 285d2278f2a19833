"""What every result store does, in the words of its port: the same text over memory, Redis, Valkey and the
fallback of one process, healthy and degraded."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest

from shared.domain.errors import ErrorCode
from shared.domain.job import JobId
from shared.domain.result import Failed, Succeeded
from shared.ports import (
    Begun,
    Conflicting,
    Finished,
    Held,
    Pending,
    Reserved,
)
from tests.contract.eventually import eventually
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
from tests.contract.result_stores import (
    RETENTION,
    Stores,
)
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

# --- Reserving ---


async def test_a_new_id_is_reserved_and_queued(stores: Stores) -> None:
    # Given an id that nobody used
    job_id, deadline = some_job_id(), in_a_minute()
    # When it is reserved
    reservation = await stores.gateway.reserve(job_id, QUESTION, A_CLAIM, deadline)
    # Then it is the caller's, and everybody sees a queued job and when it will be forgotten
    assert reservation == Reserved()
    assert await stores.worker.get(job_id) == Pending("queued", deadline + RETENTION)


async def test_the_same_claim_is_answered_the_same_when_it_is_repeated(stores: Stores) -> None:
    # Given a reservation whose reply got lost
    job_id, deadline = some_job_id(), in_a_minute()
    await stores.gateway.reserve(job_id, QUESTION, A_CLAIM, deadline)
    # When the same claim asks again, then the id is still its own
    assert await stores.gateway.reserve(job_id, QUESTION, A_CLAIM, deadline) == Reserved()


async def test_the_same_question_from_another_caller_joins_the_job(stores: Stores) -> None:
    # Given a reserved id
    job_id, deadline = some_job_id(), in_a_minute()
    await stores.gateway.reserve(job_id, QUESTION, A_CLAIM, deadline)
    # When another caller asks the same, then it learns how far the job is, now and when it runs
    joined = await stores.gateway.reserve(job_id, QUESTION, ANOTHER_CLAIM, in_a_minute())
    assert joined == Pending("queued", deadline + RETENTION)
    await stores.worker.begin(run_of(job_id), LONG_LEASE, deadline)
    joined = await stores.gateway.reserve(job_id, QUESTION, ANOTHER_CLAIM, in_a_minute())
    assert joined == Pending("running", deadline + RETENTION)


async def test_a_claim_is_not_told_to_enqueue_again_once_its_job_runs(stores: Stores) -> None:
    # Given a reserved job that a worker began
    job_id = some_job_id()
    await reserve(stores, job_id)
    await begin(stores, job_id)
    # When the first claim asks again, then it joins like everybody else
    assert isinstance(await reserve(stores, job_id, claim=A_CLAIM), Pending)


@pytest.mark.parametrize("progress", ["queued", "running", "finished"])
async def test_another_question_under_the_same_id_conflicts(stores: Stores, progress: str) -> None:
    # Given an id that belongs to a question, however far that one got
    job_id = some_job_id()
    await reserve(stores, job_id)
    if progress != "queued":
        run = (await begin(stores, job_id)).run
        if progress == "finished":
            await stores.worker.save(run, success_of(job_id))
    before = await stores.gateway.get(job_id)
    # When another question comes under it, then it is refused and nothing changes
    reservation = await reserve(stores, job_id, question=ANOTHER_QUESTION, claim=ANOTHER_CLAIM)
    assert reservation == Conflicting()
    assert await stores.gateway.get(job_id) == before


async def test_a_finished_job_answers_with_its_result(stores: Stores) -> None:
    # Given a job that succeeded
    job_id = some_job_id()
    result = await finish(stores, job_id, success_of(job_id))
    # When the same is asked again, even by the first claim, then the stored result is the answer
    assert await reserve(stores, job_id, claim=A_CLAIM) == Finished(result)
    assert await reserve(stores, job_id, claim=ANOTHER_CLAIM) == Finished(result)


@pytest.mark.parametrize(
    "code",
    [
        ErrorCode.UPSTREAM_RATE_LIMITED,
        ErrorCode.UPSTREAM_UNAVAILABLE,
        ErrorCode.UPSTREAM_TIMEOUT,
        ErrorCode.UPSTREAM_AUTHENTICATION,
        ErrorCode.UPSTREAM_QUOTA_EXCEEDED,
    ],
)
async def test_a_failure_that_may_pass_is_reserved_again(stores: Stores, code: ErrorCode) -> None:
    # Given a stored failure that may pass
    job_id = some_job_id()
    failure = await finish(stores, job_id, failure_of(job_id, code))
    assert await stores.gateway.get(job_id) == Finished(failure)
    # When the same is asked again
    reservation = await reserve(stores, job_id, claim=ANOTHER_CLAIM)
    # Then the id is the caller's and the old failure is gone
    assert reservation == Reserved()
    assert await pending_status(stores.gateway, job_id) == "queued"


async def test_attempts_go_on_counting_over_failures(stores: Stores) -> None:
    job_id = some_job_id()
    for attempts_so_far in (0, 3, 5):
        # When a job that failed is reserved and begun again
        assert await reserve(stores, job_id, claim=f"claim {attempts_so_far}") == Reserved()
        begun = await begin(stores, job_id)
        # Then its run is told of the calls before it, and of no interrupted run
        assert (begun.attempts, begun.interrupted_runs) == (attempts_so_far, 0)
        failure = failure_of(job_id, attempts=5 if attempts_so_far else 3)
        await stores.worker.save(begun.run, failure)


@pytest.mark.parametrize("status", ["failed", "expired"])
async def test_a_final_failure_stays(stores: Stores, status: str) -> None:
    # Given a failure that would come again, or a job whose time was over
    job_id = some_job_id()
    failure = (
        failure_of(job_id, ErrorCode.CONTEXT_TOO_LONG)
        if status == "failed"
        else failure_of(job_id, ErrorCode.DEADLINE_EXCEEDED, status="expired")
    )
    await finish(stores, job_id, failure)
    # When the same is asked again, then the failure is the answer, and no run begins
    assert await reserve(stores, job_id, claim=ANOTHER_CLAIM) == Finished(failure)
    assert await stores.worker.begin(run_of(job_id), LONG_LEASE, in_a_minute()) == Finished(failure)


async def test_one_of_a_hundred_callers_gets_the_id(stores: Stores) -> None:
    # When a hundred callers ask for one id at once, over both connections
    job_id, deadline = some_job_id(), in_a_minute()
    reservations = await asyncio.gather(
        *(
            (stores.gateway, stores.worker)[number % 2].reserve(job_id, QUESTION, f"claim {number}", deadline)
            for number in range(100)
        )
    )
    # Then one has it and the others join
    assert Counter(type(reservation) for reservation in reservations) == {Reserved: 1, Pending: 99}


async def test_two_owners_with_the_same_request_id_do_not_meet(stores: Stores) -> None:
    # Given two owners who chose the same id for different questions
    mine = some_job_id("me")
    yours = JobId("you", mine.request_id)
    assert await reserve(stores, mine) == Reserved()
    assert await reserve(stores, yours, question=ANOTHER_QUESTION) == Reserved()
    with stores.gateway.watch(yours) as watch:
        # When one of the jobs ends
        await stores.worker.save((await begin(stores, mine)).run, success_of(mine, "mine"))
        # Then the other is still queued, and its watch waits for a result of its own
        assert await pending_status(stores.gateway, yours) == "queued"
        run = (await begin(stores, yours, question=ANOTHER_QUESTION)).run
        await stores.worker.save(run, success_of(yours, "yours"))
        assert await woken(watch) == success_of(yours, "yours")
    assert await stores.gateway.get(mine) == Finished(success_of(mine, "mine"))


@pytest.mark.parametrize("state", ["queued", "running", "finished", "restored"])
async def test_to_another_owner_an_id_is_unknown_and_what_he_does_with_it_does_nothing(
    stores: Stores, state: str
) -> None:
    # Given a job of one owner
    mine = some_job_id("me")
    yours = JobId("you", mine.request_id)
    if state == "restored":
        recent = success_of(mine).model_copy(update={"completed_at": datetime.now(UTC)})
        assert await stores.worker.restore(run_of(mine), recent) == recent
    else:
        await reserve(stores, mine)
    if state in ("running", "finished"):
        begun = await begin(stores, mine)
    if state == "finished":
        await stores.worker.save(begun.run, success_of(mine))
    known = await stores.gateway.get(mine)
    assert known is not None
    # When another looks at it, cancels it, erases it and gives it back
    with stores.gateway.watch(yours):
        told = [
            await stores.gateway.get(yours),
            await stores.gateway.cancel(yours),
            await stores.gateway.delete(yours),
        ]
        await stores.gateway.release(yours, A_CLAIM)
    # Then there was nothing, and the job is as it was
    assert told == [None, None, None]
    assert await stores.gateway.get(mine) == known
    if state == "running":
        renewed = await stores.worker.renew([begun.run], LONG_LEASE)
        assert not [*renewed.lost, *renewed.cancelled]


# --- Giving back, looking ---


async def test_a_released_id_is_unknown_and_free_for_another_question(stores: Stores) -> None:
    # Given a reserved id whose job could not be enqueued
    job_id = some_job_id()
    await reserve(stores, job_id, claim=A_CLAIM)
    # When its claim gives it back
    await stores.gateway.release(job_id, A_CLAIM)
    # Then nobody knows it
    assert await stores.worker.get(job_id) is None
    assert await reserve(stores, job_id, question=ANOTHER_QUESTION) == Reserved()


async def test_a_released_id_has_the_failure_that_its_claim_replaced(stores: Stores) -> None:
    # Given a failure after three calls that may pass, and a caller who asked again and watches
    job_id = some_job_id()
    failed = await finish(stores, job_id, failure_of(job_id, attempts=3))
    with stores.gateway.watch(job_id):
        assert await reserve(stores, job_id, claim=ANOTHER_CLAIM) == Reserved()
        await stores.gateway.cancel(job_id)
        # When its job could not be enqueued, and it says so twice
        for _ in range(2):
            await stores.gateway.release(job_id, ANOTHER_CLAIM)
    # Then the failure is there for everybody
    assert await stores.worker.get(job_id) == Finished(failed)
    assert await reserve(stores, job_id, question=ANOTHER_QUESTION) == Conflicting()
    # And whoever asks once more gets a run that goes on counting, and was not cancelled
    assert await reserve(stores, job_id, claim=A_CLAIM) == Reserved()
    begun = await begin(stores, job_id)
    assert (begun.attempts, begun.interrupted_runs, begun.is_cancelled) == (3, 0, False)


async def test_a_released_failure_is_kept_as_long_as_it_would_have_been(stores: Stores) -> None:
    job_id, hour = some_job_id(), RETENTION.total_seconds()
    await finish(stores, job_id, failure_of(job_id))
    await stores.gateway.reserve(job_id, QUESTION, ANOTHER_CLAIM, in_a_minute() + RETENTION)
    await stores.gateway.release(job_id, ANOTHER_CLAIM)
    assert not await stores.is_forgotten_in(job_id, hour - 30)
    assert await stores.is_forgotten_in(job_id, hour + 1)


async def test_a_run_that_began_leaves_nothing_of_the_failure_before_it(stores: Stores) -> None:
    # Given a failure that was asked again, by a claim whose record did reach a worker
    job_id = some_job_id()
    await finish(stores, job_id, failure_of(job_id))
    await reserve(stores, job_id, claim=ANOTHER_CLAIM)
    run = (await begin(stores, job_id)).run
    # When the claim is given back, then the run goes on, and its own end is the one
    await stores.gateway.release(job_id, ANOTHER_CLAIM)
    assert await pending_status(stores.gateway, job_id) == "running"
    assert await stores.worker.save(run, success_of(job_id)) == success_of(job_id)
    await stores.gateway.release(job_id, ANOTHER_CLAIM)
    assert await stores.gateway.get(job_id) == Finished(success_of(job_id))


async def test_only_its_claim_releases_an_id(stores: Stores) -> None:
    # Given a reserved id
    job_id = some_job_id()
    await reserve(stores, job_id, claim=A_CLAIM)
    # When another claim releases it, then it stays
    await stores.gateway.release(job_id, ANOTHER_CLAIM)
    assert await pending_status(stores.gateway, job_id) == "queued"


@pytest.mark.parametrize("is_finished", [False, True])
async def test_an_id_whose_run_began_is_not_released(stores: Stores, is_finished: bool) -> None:
    # Given a claim whose record did reach a worker, although the enqueuing seemed to fail
    job_id = some_job_id()
    await reserve(stores, job_id, claim=A_CLAIM)
    run = (await begin(stores, job_id)).run
    if is_finished:
        await stores.worker.save(run, success_of(job_id))
    before = await stores.gateway.get(job_id)
    # When the claim releases the id, then the job stays
    await stores.gateway.release(job_id, A_CLAIM)
    assert before is not None
    assert await stores.gateway.get(job_id) == before


async def test_releasing_an_unknown_id_does_nothing(stores: Stores) -> None:
    job_id = some_job_id()
    await stores.gateway.release(job_id, A_CLAIM)
    assert await stores.gateway.get(job_id) is None


async def test_a_job_is_unknown_then_queued_then_running_then_finished(stores: Stores) -> None:
    job_id, deadline = some_job_id(), in_a_minute()
    # Given nothing
    assert await stores.gateway.get(job_id) is None
    # When it is reserved
    await stores.gateway.reserve(job_id, QUESTION, A_CLAIM, deadline)
    assert await stores.gateway.get(job_id) == Pending("queued", deadline + RETENTION)
    # And begun
    run = run_of(job_id)
    await stores.worker.begin(run, LONG_LEASE, deadline)
    assert await stores.gateway.get(job_id) == Pending("running", deadline + RETENTION)
    # And ended, then each step was seen by the other side
    await stores.worker.save(run, success_of(job_id))
    assert await stores.gateway.get(job_id) == Finished(success_of(job_id))


# --- Beginning ---


async def test_a_reserved_job_begins_with_nothing_behind_it(stores: Stores) -> None:
    # Given a reserved job
    job_id = some_job_id()
    await reserve(stores, job_id)
    # When a worker begins it, then no call was made for it before
    run = run_of(job_id)
    begun = await stores.worker.begin(run, LONG_LEASE, in_a_minute())
    assert begun == Begun(run, interrupted_runs=0, attempts=0, knows_history=stores.is_available)


async def test_a_job_that_nobody_reserved_is_reserved_by_its_beginning(stores: Stores) -> None:
    # Given a record of a direct producer
    job_id, deadline = some_job_id(), in_a_minute()
    # When a worker begins it
    begun = await stores.worker.begin(run_of(job_id), LONG_LEASE, deadline)
    # Then it runs, callers with the same question join it, and others are refused
    assert isinstance(begun, Begun)
    joined = await stores.gateway.reserve(job_id, QUESTION, A_CLAIM, in_a_minute())
    assert joined == Pending("running", deadline + RETENTION)
    assert await reserve(stores, job_id, question=ANOTHER_QUESTION) == Conflicting()


async def test_beginning_twice_with_the_same_token_is_answered_the_same(stores: Stores) -> None:
    # Given a job with a past, begun, and the reply got lost
    job_id = some_job_id()
    await finish(stores, job_id, failure_of(job_id, attempts=4))
    await reserve(stores, job_id, claim=ANOTHER_CLAIM)
    await begin(stores, job_id, lease_seconds=SHORT_LEASE)
    run = run_of(job_id)
    begun = await begun_at_last(stores.worker, run, LONG_LEASE)
    # When the same run begins again, then it hears the same
    assert begun == Begun(run, interrupted_runs=1, attempts=4, knows_history=stores.is_available)
    assert await stores.worker.begin(run, LONG_LEASE, in_a_minute()) == begun


async def test_a_job_that_runs_is_held_for_the_rest_of_its_lease(stores: Stores) -> None:
    # Given a job that runs
    job_id = some_job_id()
    await begin(stores, job_id, lease_seconds=LONG_LEASE)
    # When another worker gets its record
    held = await stores.gateway.begin(run_of(job_id), LONG_LEASE, in_a_minute())
    # Then it is told when to look again
    assert isinstance(held, Held)
    assert LONG_LEASE / 2 < held.seconds <= LONG_LEASE


async def test_a_job_whose_lease_ended_begins_again_and_counts_the_interrupted_runs(stores: Stores) -> None:
    # Given a worker that died in the middle of a job
    job_id = some_job_id()
    await reserve(stores, job_id)
    await begin(stores, job_id, lease_seconds=SHORT_LEASE)
    for interrupted_runs in (1, 2):
        # When its lease has ended and another worker asks
        begun = await begun_at_last(stores.worker, run_of(job_id), SHORT_LEASE)
        # Then that one may run it, and knows that a charge may exist
        assert begun.interrupted_runs == interrupted_runs
        assert begun.attempts == 0


async def test_a_finished_job_does_not_begin(stores: Stores) -> None:
    job_id = some_job_id()
    result = await finish(stores, job_id, success_of(job_id))
    assert await stores.worker.begin(run_of(job_id), LONG_LEASE, in_a_minute()) == Finished(result)


async def test_a_failure_that_may_pass_begins_again_for_who_asked_after_it_ended(stores: Stores) -> None:
    # Given a stored failure that may pass, of three calls
    job_id = some_job_id()
    failure = await finish(stores, job_id, failure_of(job_id, attempts=3))
    for asked_at in (None, failure.completed_at - timedelta(seconds=5), failure.completed_at):
        # When a record that was written before the failure comes again, then the failure stays
        begun = await stores.worker.begin(run_of(job_id), LONG_LEASE, in_a_minute(), asked_at=asked_at)
        assert begun == Finished(failure)
    # When one that was written after it comes, then the job runs, and goes on counting
    later, run = failure.completed_at + timedelta(milliseconds=1), run_of(job_id)
    begun = await stores.worker.begin(run, LONG_LEASE, in_a_minute(), asked_at=later)
    assert isinstance(begun, Begun)
    assert (begun.run, begun.interrupted_runs, begun.attempts) == (run, 0, 3)
    assert await pending_status(stores.gateway, job_id) == "running"
    # And nobody else runs it meanwhile, and its end is the result
    other = await stores.worker.begin(run_of(job_id), LONG_LEASE, in_a_minute(), asked_at=later)
    assert isinstance(other, Held)
    result = success_of(job_id, attempts=4)
    assert await stores.worker.save(run, result) == result


@pytest.mark.parametrize("status", ["failed", "expired", "cancelled"])
async def test_what_is_final_never_begins_again(
    stores: Stores, status: Literal["failed", "expired", "cancelled"]
) -> None:
    job_id = some_job_id()
    failure = await finish(stores, job_id, failure_of(job_id, ErrorCode.CONTEXT_TOO_LONG, status=status))
    later = failure.completed_at + timedelta(days=1)
    assert await stores.worker.begin(run_of(job_id), LONG_LEASE, in_a_minute(), asked_at=later) == Finished(
        failure
    )


@pytest.mark.parametrize("is_running", [False, True])
async def test_another_question_does_not_begin(stores: Stores, is_running: bool) -> None:
    # Given a job that is queued, or runs
    job_id = some_job_id()
    await reserve(stores, job_id)
    if is_running:
        await begin(stores, job_id)
    # When a record with its id asks something else, then it is refused
    run = run_of(job_id, ANOTHER_QUESTION)
    assert await stores.worker.begin(run, LONG_LEASE, in_a_minute()) == Conflicting()


async def test_one_of_a_hundred_runs_begins(stores: Stores) -> None:
    # Given a record that was delivered a hundred times
    job_id, deadline = some_job_id(), in_a_minute()
    # When all of them begin at once, over both connections
    answers = await asyncio.gather(
        *(
            (stores.gateway, stores.worker)[number % 2].begin(run_of(job_id), LONG_LEASE, deadline)
            for number in range(100)
        )
    )
    # Then one runs
    assert Counter(type(answer) for answer in answers) == {Begun: 1, Held: 99}


async def test_a_job_whose_time_was_over_long_ago_still_begins_and_is_stored(stores: Stores) -> None:
    # Given a record that waited longer than its result would be kept
    job_id = some_job_id()
    long_ago = in_a_minute() - 3 * RETENTION
    # When a worker begins it and stores that it expired
    run = run_of(job_id)
    assert isinstance(await stores.worker.begin(run, LONG_LEASE, long_ago), Begun)
    expired = failure_of(job_id, ErrorCode.DEADLINE_EXCEEDED, status="expired")
    # Then that is its result
    assert await stores.worker.save(run, expired) == expired
    assert await stores.gateway.get(job_id) == Finished(expired)


# --- Renewing ---


async def test_renewing_prolongs_the_lease(stores: Stores) -> None:
    # Given a run with a short lease
    job_id = some_job_id()
    run = (await begin(stores, job_id, lease_seconds=0.5)).run
    # When it is renewed for long
    assert (await stores.worker.renew([run], LONG_LEASE)).lost == []
    # Then it is held for long
    held = await stores.worker.begin(run_of(job_id), LONG_LEASE, in_a_minute())
    assert isinstance(held, Held)
    assert held.seconds > 1


async def test_renewing_tells_which_runs_are_lost(stores: Stores) -> None:
    # Given two runs of a worker that froze, of which one was taken over
    lost = (await begin(stores, some_job_id(), lease_seconds=SHORT_LEASE)).run
    kept = (await begin(stores, some_job_id(), lease_seconds=SHORT_LEASE)).run
    await begun_at_last(stores.worker, run_of(lost.id), LONG_LEASE)
    # When the worker renews both, then it hears of the one, and the other is its own again
    assert (await stores.worker.renew([kept, lost], LONG_LEASE)).lost == [lost]
    assert isinstance(await stores.worker.begin(run_of(kept.id), LONG_LEASE, in_a_minute()), Held)


async def test_renewing_does_not_help_a_lost_run(stores: Stores) -> None:
    # Given a run that was taken over for a short time
    job_id = some_job_id()
    lost = (await begin(stores, job_id, lease_seconds=SHORT_LEASE)).run
    await begun_at_last(stores.worker, run_of(job_id), SHORT_LEASE)
    # When the lost run renews, then the lease of the other still ends in time
    assert (await stores.worker.renew([lost], LONG_LEASE)).lost == [lost]
    assert (await begun_at_last(stores.worker, run_of(job_id), LONG_LEASE)).interrupted_runs == 2


async def test_nothing_to_renew_is_nothing_lost(stores: Stores) -> None:
    assert (await stores.worker.renew([], LONG_LEASE)).lost == []


async def test_a_run_that_the_store_knows_nothing_of_is_not_lost(stores: Stores) -> None:
    # Given a store that came back empty, and somebody uses it already
    await reserve(stores, some_job_id())
    # When a run from before renews, then it may go on
    assert (await stores.worker.renew([run_of(some_job_id())], LONG_LEASE)).lost == []


# --- Saving ---


async def test_the_first_result_stays(stores: Stores) -> None:
    # Given a run that stored its result, and the reply got lost
    job_id = some_job_id()
    run = (await begin(stores, job_id)).run
    assert await stores.worker.save(run, success_of(job_id, "first")) == success_of(job_id, "first")
    # When it stores again, then it is told the first result, which is the one that callers see
    assert await stores.worker.save(run, success_of(job_id, "second")) == success_of(job_id, "first")
    assert await stores.gateway.get(job_id) == Finished(success_of(job_id, "first"))


async def test_a_run_that_lost_its_lease_cannot_store(stores: Stores) -> None:
    # Given a worker that froze, and another that took its job over
    job_id = some_job_id()
    frozen = (await begin(stores, job_id, lease_seconds=SHORT_LEASE)).run
    taker = (await begun_at_last(stores.worker, run_of(job_id), LONG_LEASE)).run
    # When the frozen one thaws and stores, then it is refused and the job still runs
    assert await stores.gateway.save(frozen, success_of(job_id, "frozen")) is None
    assert await pending_status(stores.gateway, job_id) == "running"
    # And when the other stores, then its result is the one, and the thawed worker is told it
    assert await stores.worker.save(taker, success_of(job_id, "taker")) == success_of(job_id, "taker")
    assert await stores.gateway.save(frozen, success_of(job_id, "frozen")) == success_of(job_id, "taker")
    assert await stores.gateway.get(job_id) == Finished(success_of(job_id, "taker"))


async def test_a_run_whose_lease_ended_unnoticed_can_store(stores: Stores) -> None:
    # Given a run that was not renewed in time, and nobody took the job
    job_id = some_job_id()
    run = (await begin(stores, job_id, lease_seconds=0.001)).run
    # When it stores, then the answer that was paid for is kept
    assert await stores.worker.save(run, success_of(job_id)) == success_of(job_id)


async def test_a_result_is_stored_by_a_run_that_the_store_knows_nothing_of(stores: Stores) -> None:
    # Given a store that came back empty, and a run from before
    job_id = some_job_id()
    # When it stores, then its result is the one
    assert await stores.worker.save(run_of(job_id), success_of(job_id)) == success_of(job_id)
    assert await reserve(stores, job_id) == Finished(success_of(job_id))
    assert await reserve(stores, job_id, question=ANOTHER_QUESTION) == Conflicting()


async def test_a_run_from_before_stores_for_a_caller_who_asked_anew(
    stores: Stores,
) -> None:
    # Given a run from before the store came back empty, and a caller who asked the same again
    job_id = some_job_id()
    run = run_of(job_id)
    await reserve(stores, job_id)
    # When the run renews and stores, then it lost nothing: no other run holds a lease
    assert (await stores.worker.renew([run], LONG_LEASE)).lost == []
    assert await stores.worker.save(run, success_of(job_id)) == success_of(job_id)


async def test_a_run_from_before_never_answers_another_question(
    stores: Stores,
) -> None:
    # Given a run from before the store came back empty, and its id now belongs to another question
    job_id = some_job_id()
    old_run = run_of(job_id, QUESTION)
    await reserve(stores, job_id, question=ANOTHER_QUESTION)
    # When the run stores, then the other question is still open
    assert await stores.worker.save(old_run, success_of(job_id)) is None
    assert await pending_status(stores.gateway, job_id) == "queued"


async def test_a_failure_that_is_stored_twice_does_not_end_the_job_that_was_reserved_between(
    stores: Stores,
) -> None:
    # Given a failure that was stored, whose reply got lost, and a caller who asked again meanwhile
    job_id = some_job_id()
    run = (await begin(stores, job_id)).run
    await stores.worker.save(run, failure_of(job_id))
    assert await reserve(stores, job_id, claim=ANOTHER_CLAIM) == Reserved()
    # When the save is repeated, then it does not touch the new reservation
    assert await stores.worker.save(run, failure_of(job_id)) is None
    assert await pending_status(stores.gateway, job_id) == "queued"


@pytest.mark.parametrize("is_success", [True, False])
async def test_a_stored_result_comes_back_equal(stores: Stores, is_success: bool) -> None:
    # Given a result with every field, nulls inside the message and odd characters included
    job_id = some_job_id()
    message = {
        "content": None,
        "tool_calls": [{"id": "1", "arguments": '{"a": "é\\n\u2028"}'}],
        "refusal": None,
    }
    extra = {"metadata": {"team": "blau"}, "possible_duplicate_charge": True}
    result: Succeeded | Failed = (
        success_of(job_id).model_copy(update={"message": message, **extra})
        if is_success
        else failure_of(job_id).model_copy(update=extra)
    )
    # When it is stored, then every side reads it as it was
    await stores.worker.save(run_of(job_id), result)
    assert await stores.gateway.get(job_id) == Finished(result)


# --- Watching ---


async def test_a_watch_opened_before_the_id_was_reserved_is_woken(stores: Stores) -> None:
    # Given a gateway that watches, reserves and waits
    job_id = some_job_id()
    with stores.gateway.watch(job_id) as watch:
        await reserve(stores, job_id)
        waiting = asyncio.create_task(woken(watch))
        # When a worker, over another connection, stores the result
        await stores.worker.save((await begin(stores, job_id)).run, success_of(job_id))
        # Then the gateway has it
        assert await waiting == success_of(job_id)


async def test_a_watch_opened_on_a_running_job_is_woken(stores: Stores) -> None:
    # Given a job of a direct producer that runs already
    job_id = some_job_id()
    run = (await begin(stores, job_id)).run
    with stores.gateway.watch(job_id) as watch:
        # When somebody asks for it and waits, and the job ends
        assert await pending_status(stores.gateway, job_id) == "running"
        await stores.worker.save(run, success_of(job_id))
        # Then the wait ends with its result
        assert await woken(watch) == success_of(job_id)


async def test_everybody_who_watches_is_woken(stores: Stores) -> None:
    # Given a caller and one who joined, on two gateways, and one who left
    job_id = some_job_id()
    with stores.gateway.watch(job_id) as first, stores.worker.watch(job_id) as joined:
        await reserve(stores, job_id)
        await stores.worker.reserve(job_id, QUESTION, ANOTHER_CLAIM, in_a_minute())
        with stores.gateway.watch(job_id):
            await stores.gateway.get(job_id)
        # When the job ends, then both have the result
        await stores.worker.save((await begin(stores, job_id)).run, success_of(job_id))
        assert await woken(first) == await woken(joined) == success_of(job_id)


async def test_a_failure_wakes_too_and_the_next_wait_is_for_the_next_result(stores: Stores) -> None:
    # Given a wait that ended with a failure that may pass
    job_id = some_job_id()
    with stores.gateway.watch(job_id) as watch:
        await reserve(stores, job_id)
        await stores.worker.save((await begin(stores, job_id)).run, failure_of(job_id))
        assert await woken(watch) == failure_of(job_id)
    # When the same is asked again and succeeds, then that wait ends with the success
    with stores.gateway.watch(job_id) as watch:
        assert await reserve(stores, job_id, claim=ANOTHER_CLAIM) == Reserved()
        await stores.worker.save((await begin(stores, job_id)).run, success_of(job_id))
        assert await woken(watch) == success_of(job_id)


async def test_a_wait_that_timed_out_can_be_taken_up_again(stores: Stores) -> None:
    # Given a wait that was given up
    job_id = some_job_id()
    with stores.gateway.watch(job_id) as watch:
        await reserve(stores, job_id)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(watch.result(), 0.01)
        # When the job ends, then the same watch still has its result
        await stores.worker.save((await begin(stores, job_id)).run, success_of(job_id))
        assert await woken(watch) == success_of(job_id)


# --- Forgetting ---


async def test_a_job_that_never_ends_is_forgotten_after_its_deadline_and_the_retention(
    stores: Stores,
) -> None:
    # Given a reserved job
    job_id, minute, hour = some_job_id(), 60.0, RETENTION.total_seconds()
    await reserve(stores, job_id)
    # Then it is kept for its minute and the retention, and not longer
    assert not await stores.is_forgotten_in(job_id, hour + minute / 2)
    assert await stores.is_forgotten_in(job_id, hour + minute + 1)


async def test_a_job_of_a_direct_producer_is_forgotten_like_any_other(stores: Stores) -> None:
    # Given a run of a job that nobody reserved, with ten minutes to its deadline
    job_id, hour = some_job_id(), RETENTION.total_seconds()
    await stores.worker.begin(run_of(job_id), LONG_LEASE, in_a_minute() + timedelta(minutes=9))
    assert not await stores.is_forgotten_in(job_id, hour + 9 * 60)
    assert await stores.is_forgotten_in(job_id, hour + 10 * 60 + 1)


@pytest.mark.parametrize("is_success", [True, False])
async def test_a_result_is_kept_for_the_retention(stores: Stores, is_success: bool) -> None:
    # Given a result
    job_id, hour = some_job_id(), RETENTION.total_seconds()
    await finish(stores, job_id, success_of(job_id) if is_success else failure_of(job_id))
    # Then it is kept for an hour, and not longer
    assert not await stores.is_forgotten_in(job_id, hour - 30)
    assert await stores.is_forgotten_in(job_id, hour + 1)


async def test_availability_is_told(stores: Stores) -> None:
    # A degraded store answers, but not for as long as it should: it says so.
    async def is_as_it_should_be() -> bool:
        return await stores.gateway.is_available() is stores.is_available

    await reserve(stores, some_job_id())
    await eventually(is_as_it_should_be)
