"""The last failures of an owner, over every store: what and when, in no words of the job's."""

from datetime import UTC, datetime, timedelta

from redis.asyncio import Redis

from shared.domain.errors import ErrorCode, job_error
from shared.domain.failed_job import MOST_KEPT
from shared.domain.job import JobId
from tests.contract.examples import failure_of, some_job_id, success_of
from tests.contract.result_stores import RETENTION, Stores, redis_stores
from tests.contract.steps import begin
from tests.support.server import AnyRedis

NOW = datetime.now(UTC)


async def fail(stores: Stores, job_id: JobId, ended_at: datetime = NOW, words: str = "words") -> None:
    error = job_error(ErrorCode.UPSTREAM_TIMEOUT, words)
    failure = failure_of(job_id, attempts=3).model_copy(update={"completed_at": ended_at, "error": error})
    await stores.worker.save((await begin(stores, job_id)).run, failure)


async def test_they_are_told_the_latest_first_and_without_words(stores: Stores) -> None:
    owner = some_job_id().request_id
    older, newer = some_job_id(owner), some_job_id(owner)
    await fail(stores, newer, NOW, "the prompt said")
    await fail(stores, older, NOW - timedelta(minutes=1))  # a copy that comes late
    answered = some_job_id(owner)
    await stores.worker.save((await begin(stores, answered)).run, success_of(answered))
    told = await stores.gateway.failures(owner)
    assert [failure.request_id for failure in told] == [newer.request_id, older.request_id]
    assert (told[0].error_code, told[0].attempts, told[0].completed_at) == ("UPSTREAM_TIMEOUT", 3, NOW)
    assert "the prompt said" not in told[0].model_dump_json()


async def test_they_are_their_owners_alone(stores: Stores) -> None:
    anna, bert = some_job_id(), some_job_id()
    job_id = JobId(anna.request_id, bert.request_id)
    await fail(stores, job_id)
    assert len(await stores.gateway.failures(job_id.owner)) == 1
    assert await stores.gateway.failures(bert.request_id) == []


async def test_a_failure_that_is_brought_again_is_one(stores: Stores) -> None:
    job_id = some_job_id(some_job_id().request_id)
    run, failure = (await begin(stores, job_id)).run, failure_of(job_id)
    for _ in range(2):
        await stores.worker.save(run, failure)
    assert len(await stores.gateway.failures(job_id.owner)) == 1


async def test_no_more_are_kept_than_a_person_looks_through(stores: Stores) -> None:
    owner = some_job_id().request_id
    ids = [some_job_id(owner) for _ in range(MOST_KEPT + 5)]
    for number, job_id in enumerate(ids):
        await fail(stores, job_id, NOW + timedelta(seconds=number))
    told = await stores.gateway.failures(owner)
    assert [failure.request_id for failure in told] == [one.request_id for one in ids[: -MOST_KEPT - 1 : -1]]


async def test_redis_keeps_no_more_and_not_for_ever(any_redis: AnyRedis) -> None:
    owner = some_job_id().request_id
    async with redis_stores(any_redis.url) as stores, Redis.from_url(any_redis.url) as client:
        for _ in range(MOST_KEPT + 1):
            await fail(stores, some_job_id(owner))
        [key] = [key async for key in client.scan_iter(f"llm:failures:{owner}")]
        assert await client.llen(key) == MOST_KEPT
        assert 0 < await client.pttl(key) <= 2 * RETENTION.total_seconds() * 1000
