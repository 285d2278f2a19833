"""While the store is away, what is told on the log of results is stored, and its holds end."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from gateway.results_tail import tail_results
from shared.domain.job import JobId
from shared.domain.result import Failed, Succeeded
from shared.ports import Run
from tests.support.jobs import make_job, make_success


class AwayStore:
    """Away, until the test ends."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.was_told = asyncio.Event()

    async def until_degraded(self) -> None:
        pass

    async def until_healthy(self) -> None:
        await asyncio.Event().wait()

    async def restore(self, run: Run, result: Succeeded | Failed) -> Succeeded | Failed | None:
        self.steps.append("stored")
        self.was_told.set()
        return result

    async def settle(self, job_id: JobId, result: Succeeded | Failed) -> None:
        assert job_id.request_id == result.request_id
        self.steps.append("settled")


class OneResult:
    """A log with one result, and then silence."""

    async def follow(self, since: float) -> AsyncIterator[Sequence[tuple[Run, Succeeded | Failed]]]:
        job = make_job()
        yield [(Run(job.id, "token", job.fingerprint), make_success(job))]
        await asyncio.Event().wait()


async def test_a_hold_ends_before_who_waits_for_the_result_sees_it() -> None:
    store = AwayStore()
    async with asyncio.timeout(10), tail_results(store, OneResult(), store.settle):
        await store.was_told.wait()
    assert store.steps == ["settled", "stored"]


async def test_without_limits_results_are_only_stored() -> None:
    store = AwayStore()
    async with asyncio.timeout(10), tail_results(store, OneResult()):
        await store.was_told.wait()
    assert store.steps == ["stored"]
