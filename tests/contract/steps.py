"""The steps that the tests of every store make."""

import asyncio

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
    ResultStore,
    ResultWatch,
    Run,
)
from tests.contract.eventually import eventually
from tests.contract.examples import A_CLAIM, QUESTION, in_a_minute, run_of
from tests.contract.result_stores import Stores

LONG_LEASE = 60.0
SHORT_LEASE = 0.05


async def reserve(
    stores: Stores, job_id: JobId, *, question: str = QUESTION, claim: str = A_CLAIM
) -> Reserved | Pending | Finished | Conflicting | Deleted:
    return await stores.gateway.reserve(job_id, question, claim, in_a_minute())


async def begin(
    stores: Stores, job_id: JobId, *, question: str = QUESTION, lease_seconds: float = LONG_LEASE
) -> Begun:
    begun = await stores.worker.begin(run_of(job_id, question), lease_seconds, in_a_minute())
    assert isinstance(begun, Begun)
    return begun


async def begun_at_last(store: ResultStore, run: Run, lease_seconds: float) -> Begun:
    """When the lease of the run before has ended."""
    begun = await eventually(
        lambda: store.begin(run, lease_seconds, in_a_minute()), lambda answer: not isinstance(answer, Held)
    )
    assert isinstance(begun, Begun)
    return begun


async def finish(stores: Stores, job_id: JobId, result: Succeeded | Failed) -> Succeeded | Failed:
    """Reserved, begun and ended with `result`."""
    await reserve(stores, job_id)
    stored = await stores.worker.save((await begin(stores, job_id)).run, result)
    assert stored == result
    return result


async def pending_status(store: ResultStore, job_id: JobId) -> str:
    pending = await store.get(job_id)
    assert isinstance(pending, Pending)
    return pending.status


async def woken(watch: ResultWatch) -> Succeeded | Failed:
    async with asyncio.timeout(15):
        return await watch.result()
