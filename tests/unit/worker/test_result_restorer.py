"""When a store is restored, from where, and by whom."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from shared.domain.result import Failed, Succeeded
from shared.ports import ResultLogUnavailable, Run, StoreUnavailable
from tests.contract.examples import run_of, some_job_id, success_of
from worker.ports import StoreCondition
from worker.result_restorer import ResultRestorer

Told = list[tuple[Run, Succeeded | Failed]]


class FakeStore:
    def __init__(self) -> None:
        self.restored: Told = []

    async def restore(self, run: Run, result: Succeeded | Failed) -> Succeeded | Failed | None:
        self.restored.append((run, result))
        return result


class FakeKeeper:
    """The condition as it stands in the store, or nothing while that is away."""

    def __init__(self) -> None:
        self.condition = StoreCondition("run 1", "data 1", whole_until=0.0)
        self.is_away = False
        self.others_lead = False

    async def read(self) -> StoreCondition:
        if self.is_away:
            raise StoreUnavailable("away")
        return self.condition

    async def is_leading(self) -> bool:
        return not self.others_lead

    async def mark_whole(self, condition: StoreCondition, until: float) -> None:
        if condition.data_id == self.condition.data_id:
            self.condition = replace(self.condition, whole_until=until)


class FakeReader:
    def __init__(self) -> None:
        run = run_of(some_job_id())
        self.told: Told = [(run, success_of(run.id))]
        self.asked_since: list[float] = []
        self.is_away = False

    async def read(self, since: float) -> AsyncIterator[Told]:
        self.asked_since.append(since)
        if self.is_away:
            raise ResultLogUnavailable("away")
        yield self.told


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def keeper() -> FakeKeeper:
    return FakeKeeper()


@pytest.fixture
def reader() -> FakeReader:
    return FakeReader()


@pytest.fixture
def restorer(store: FakeStore, keeper: FakeKeeper, reader: FakeReader) -> ResultRestorer:
    return ResultRestorer(store, keeper, reader)


async def test_a_new_store_gets_the_whole_log_once(
    restorer: ResultRestorer, store: FakeStore, keeper: FakeKeeper, reader: FakeReader
) -> None:
    for _ in range(3):
        await restorer.look()
    assert reader.asked_since == [0.0]
    assert store.restored == reader.told
    assert keeper.condition.whole_until > 0


async def test_a_store_that_was_away_or_restarted_gets_what_was_logged_since_it_was_whole(
    restorer: ResultRestorer, keeper: FakeKeeper, reader: FakeReader
) -> None:
    await restorer.look()
    whole_until = keeper.condition.whole_until
    # When the server behind the same data is another
    keeper.condition = replace(keeper.condition, server_run="run 2")
    await restorer.look()
    # Then it is read from where the store was whole, and a margin before
    assert whole_until - 60 < reader.asked_since[-1] < whole_until
    # And when the store was away
    keeper.is_away = True
    with pytest.raises(StoreUnavailable):
        await restorer.look()
    keeper.is_away = False
    restorer._whole = None  # as its loop does
    await restorer.look()
    assert len(reader.asked_since) == 3


async def test_a_store_that_came_back_empty_gets_everything(
    restorer: ResultRestorer, keeper: FakeKeeper, reader: FakeReader
) -> None:
    await restorer.look()
    keeper.condition = StoreCondition("run 2", "data 2", whole_until=0.0)
    await restorer.look()
    assert reader.asked_since == [0.0, 0.0]


async def test_nobody_restores_beside_another(
    restorer: ResultRestorer, keeper: FakeKeeper, reader: FakeReader
) -> None:
    # Given another worker that leads
    keeper.others_lead = True
    await restorer.look()
    assert reader.asked_since == []
    # When it has died, then this one takes over
    keeper.others_lead = False
    await restorer.look()
    assert reader.asked_since == [0.0]


async def test_a_log_that_is_away_leaves_the_store_unmarked(
    restorer: ResultRestorer, keeper: FakeKeeper, reader: FakeReader
) -> None:
    reader.is_away = True
    with pytest.raises(ResultLogUnavailable):
        await restorer.look()
    assert keeper.condition.whole_until == 0
