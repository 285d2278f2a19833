"""The statistics of the service: every store adds up what is stored, in all and by the ten seconds."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.job import JobId
from shared.domain.totals import PROVIDER_CALLS, SINCE_MS, SLICE_SECONDS, slice_of, tally
from shared.ports import StoreUnavailable
from tests.contract.examples import failure_of, some_job_id, success_of
from tests.contract.result_stores import Stores
from tests.contract.steps import begin


async def read(stores: Stores, starts: list[int]) -> tuple[Counter[str], Counter[str]]:
    totals = Counter(dict(await stores.gateway.totals()))
    slices: Counter[str] = Counter()
    for amounts in await stores.gateway.slices(starts):
        slices.update(amounts)
    del totals[SINCE_MS]
    return totals, slices


async def save(
    stores: Stores, job_id: JobId, completed_at: datetime, *, is_failure: bool = False
) -> Counter[str]:
    result = (failure_of(job_id) if is_failure else success_of(job_id)).model_copy(
        update={"completed_at": completed_at, "cost_usd": None if is_failure else 0.000_3, "total_ms": 320.0}
    )
    await stores.worker.save((await begin(stores, job_id)).run, result)
    return Counter({**tally(result), PROVIDER_CALLS: 1})


async def test_a_result_is_in_the_totals_and_in_the_ten_seconds_when_it_ended(stores: Stores) -> None:
    now = datetime.now(UTC)
    earlier = now - timedelta(minutes=7)
    starts = [slice_of(earlier), slice_of(now)]
    (before, old), (_, new) = await read(stores, starts[:1]), await read(stores, starts[1:])
    ended_earlier = await save(stores, some_job_id(), earlier, is_failure=True)
    ended_now = await save(stores, some_job_id(), now)
    totals, slices = await read(stores, starts)
    assert totals - before == ended_earlier + ended_now
    assert slices - old - new == ended_earlier + ended_now
    assert (await read(stores, starts[:1]))[1] - old == ended_earlier


async def test_a_slice_in_which_nothing_happened_is_empty_and_in_its_place(stores: Stores) -> None:
    long_ago = slice_of(datetime.now(UTC)) - 3_000 - SLICE_SECONDS
    assert await stores.gateway.slices([long_ago, long_ago - SLICE_SECONDS]) == [{}, {}]
    assert await stores.gateway.slices([]) == []


async def test_what_a_gateway_counts_is_added_now_and_counting_has_a_beginning(stores: Stores) -> None:
    if stores.kind == "degraded":  # Redis is away: who counts keeps it until it is back
        with pytest.raises(StoreUnavailable):
            await stores.gateway.count({"replayed": 1})
        return
    starts = [slice_of(datetime.now(UTC)) + SLICE_SECONDS * step for step in range(3)]
    before, slices_before = await read(stores, starts)
    await stores.gateway.count({"replayed": 2, "error:UNAUTHORIZED": 1})
    await stores.gateway.count({"replayed": 1})
    await stores.gateway.count({})
    totals, slices = await read(stores, starts)
    assert totals - before == slices - slices_before == {"replayed": 3, "error:UNAUTHORIZED": 1}
    since = (await stores.gateway.totals())[SINCE_MS]
    await stores.gateway.count({"replayed": 1})
    assert (await stores.gateway.totals())[SINCE_MS] == since
    assert 0 < since <= datetime.now(UTC).timestamp() * 1000
