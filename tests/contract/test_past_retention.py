"""A result whose retention has passed is told of as gone, for as long again; its id is free."""

from collections.abc import AsyncIterator

import pytest

from shared.ports import Deleted, Reserved
from tests.conftest import missing
from tests.contract.examples import A_CLAIM, ANOTHER_QUESTION, QUESTION, run_of, some_job_id, success_of
from tests.contract.passing_time import TimedStores, timed_memory_store, timed_redis_stores
from tests.contract.result_stores import RETENTION
from tests.contract.steps import LONG_LEASE
from tests.support.availability import Unavailable
from tests.support.redis_servers import find_redis, find_valkey
from tests.support.running import RunningServers


@pytest.fixture(params=["memory", "redis", "valkey"])
async def timed(request: pytest.FixtureRequest, servers: RunningServers) -> AsyncIterator[TimedStores]:
    """Each store in turn."""
    find = {"redis": find_redis, "valkey": find_valkey}.get(request.param)
    try:
        opened = timed_redis_stores(servers.get(find).url) if find else timed_memory_store()
    except Unavailable as reason:
        missing(str(reason))
    async with opened as stores:
        yield stores


async def test_a_result_past_its_retention_is_gone_and_its_id_is_free(timed: TimedStores) -> None:
    store, retention_seconds = timed.stores[0], RETENTION.total_seconds()
    # Given a result, and a job that never ended
    job_id, unfinished = some_job_id(), some_job_id()
    run = run_of(job_id)
    await store.begin(run, LONG_LEASE, timed.now())
    await store.save(run, success_of(job_id))
    await store.reserve(unfinished, QUESTION, A_CLAIM, timed.now())
    # When the retention has passed, then the result is gone, which the other never was
    await timed.pass_seconds(retention_seconds + 10, [job_id, unfinished])
    assert await store.get(job_id) == await store.cancel(job_id) == await store.delete(job_id) == Deleted()
    assert await store.get(unfinished) is None
    # And the id is free for another question
    other = await store.reserve(job_id, ANOTHER_QUESTION, A_CLAIM, timed.now())
    assert other == Reserved()
    await store.release(job_id, A_CLAIM)
    # And as long again later nobody knows of it
    await timed.pass_seconds(retention_seconds, [job_id])
    assert await store.get(job_id) is None
