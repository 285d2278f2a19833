"""What only the store in memory has: an end to its room, and entries that nobody asked for since they ended.
The rest is in the contract tests."""

from datetime import UTC, datetime, timedelta

from shared.adapters.memory_result_store import MemoryResultStore
from shared.domain.job import JobId
from shared.ports import Finished, Pending, Reserved
from tests.contract.examples import A_CLAIM, QUESTION, in_a_minute, run_of, some_job_id, success_of

RETENTION = timedelta(hours=1)


async def reserved(store: MemoryResultStore, expires_at: datetime | None = None) -> JobId:
    job_id = some_job_id()
    reservation = await store.reserve(job_id, QUESTION, A_CLAIM, expires_at or in_a_minute())
    assert reservation == Reserved()
    return job_id


async def finished(store: MemoryResultStore) -> JobId:
    job_id = await reserved(store)
    run = run_of(job_id)
    await store.begin(run, 60, in_a_minute())
    await store.save(run, success_of(job_id))
    return job_id


async def test_what_finished_first_goes_first_when_the_room_ends() -> None:
    # Given a store that is full of results
    store = MemoryResultStore(RETENTION, most_jobs=10)
    job_ids = [await finished(store) for _ in range(10)]
    # When another job comes
    await reserved(store)
    # Then a tenth and one went, the first that finished
    assert [store.knows(job_id) for job_id in job_ids] == [False, False, *([True] * 8)]


async def test_a_job_without_a_result_never_goes() -> None:
    # Given a store that is full, with a job that has waited longest of all
    store = MemoryResultStore(RETENTION, most_jobs=3)
    waiting = await reserved(store)
    # When many jobs come and finish
    newest = [await finished(store) for _ in range(20)][-1]
    # Then it is still there, and so is the newest result
    assert isinstance(await store.get(waiting), Pending)
    assert isinstance(await store.get(newest), Finished)


async def test_a_job_that_is_forgotten_makes_room_before_any_result() -> None:
    # Given a full store with two jobs whose time, and retention, are over
    store = MemoryResultStore(RETENTION, most_jobs=4)
    long_ago = datetime.now(UTC) - 2 * RETENTION
    forgotten = [await reserved(store, long_ago) for _ in range(2)]
    results = [await finished(store) for _ in range(2)]
    # When another job comes, then they go, and at most one result with them
    await reserved(store)
    assert not any(store.knows(job_id) for job_id in forgotten)
    assert store.knows(results[-1])


async def test_a_forgotten_run_takes_no_lease_from_another() -> None:
    # Given a run whose job is forgotten, though nobody has looked since
    now = datetime.now(UTC).timestamp()
    store = MemoryResultStore(RETENTION, clock=lambda: now)
    forgotten = run_of(some_job_id())
    await store.begin(forgotten, 60, in_a_minute())
    now += 2 * RETENTION.total_seconds()
    # When another run of the id renews, then it lost nothing
    assert (await store.renew([run_of(forgotten.id)], 60)).lost == []
