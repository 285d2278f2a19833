"""Who has ended, told by the log."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from shared.domain.result import Failed, Succeeded
from shared.ports import ResultLogUnavailable, Run
from tests.contract.examples import failure_of, run_of, some_job_id, success_of
from worker.logged_results import LoggedResults

Told = list[tuple[Run, Succeeded | Failed]]


class FakeReader:
    """A log whose reading can be held up."""

    def __init__(self) -> None:
        self.told: Told = []
        self.asked_since: list[float] = []
        self.is_away = False
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def read(self, since: float) -> AsyncIterator[Told]:
        self.asked_since.append(since)
        told = list(self.told)
        await self.may_go_on.wait()
        if self.is_away:
            raise ResultLogUnavailable("away")
        yield told


@pytest.fixture
def reader() -> FakeReader:
    return FakeReader()


async def test_a_final_result_ends_a_job_and_nothing_else_does(reader: FakeReader) -> None:
    ended, other, may_pass = some_job_id(), some_job_id(), some_job_id()
    reader.told = [(run_of(ended), success_of(ended)), (run_of(may_pass), failure_of(may_pass))]
    logged = LoggedResults(reader)
    answers = await asyncio.gather(*(logged.has_ended(job_id, 100.0) for job_id in (ended, other, may_pass)))
    assert answers == [True, False, False]
    assert reader.asked_since == [70.0], "one reading for all, and a margin for clocks that differ"


async def test_who_asks_while_it_is_read_gets_a_reading_of_its_own(reader: FakeReader) -> None:
    job_id = some_job_id()
    logged = LoggedResults(reader)
    reader.may_go_on.clear()
    first = asyncio.create_task(logged.has_ended(some_job_id(), 100.0))
    while not reader.asked_since:
        await asyncio.sleep(0)
    reader.told = [(run_of(job_id), success_of(job_id))]  # after the first reading began
    second = asyncio.create_task(logged.has_ended(job_id, 200.0))
    await asyncio.sleep(0)
    reader.may_go_on.set()
    assert (await first, await second) == (False, True)
    assert reader.asked_since == [70.0, 170.0]


async def test_a_log_that_is_away_is_said_to_everybody_and_asked_again(reader: FakeReader) -> None:
    logged = LoggedResults(reader)
    reader.is_away = True
    for _ in range(2):
        with pytest.raises(ResultLogUnavailable):
            await logged.has_ended(some_job_id(), 100.0)
    reader.is_away = False
    assert not await logged.has_ended(some_job_id(), 100.0)
