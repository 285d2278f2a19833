"""A new job is let in as long as it would not wait too long, and whoever is refused is told when."""

import re
from dataclasses import replace

import pytest

from gateway.ports import QueueUnavailable
from gateway.queue_gauge import BoundedJobQueue, QueueGauge
from shared.domain.priority import parse_weights
from shared.domain.queue_load import QueueLoad, WorkerLoad, load_of
from shared.ports import StoreUnavailable
from tests.support.jobs import make_job
from tests.unit.gateway.gateway_in_process import KeptJobs


class Loads:
    """What the workers say, or that nobody can be asked."""

    def __init__(self, *workers: WorkerLoad) -> None:
        self.workers = workers
        self.is_away = False

    async def read(self) -> QueueLoad | None:
        if self.is_away:
            raise StoreUnavailable("away")
        return load_of(self.workers)


def worker(waiting: int, running: int, run_seconds: float | None, slots: int = 0) -> WorkerLoad:
    return WorkerLoad(waiting=waiting, running=running, run_seconds=run_seconds, slots=slots)


async def gauge_of(loads: Loads, max_wait_seconds: float = 10) -> QueueGauge:
    gauge = QueueGauge(loads.read, max_wait_seconds)
    await gauge.look()
    return gauge


async def test_the_wait_is_the_lag_over_what_all_workers_end() -> None:
    gauge = await gauge_of(Loads(worker(30, 4, 2.0), worker(10, 6, 2.0)))
    assert gauge.load == QueueLoad(lag=40, running=10, drain_per_second=5)
    assert gauge.load.expected_wait_seconds == 8


async def test_beyond_the_longest_wait_a_job_is_refused_with_when_to_come_back() -> None:
    gauge, queue = await gauge_of(Loads(worker(100, 4, 1.0))), KeptJobs()
    told = re.escape("100 jobs wait, 4 end a second: a new one would wait 25 s")
    with pytest.raises(QueueUnavailable, match=told) as full:
        await BoundedJobQueue(queue, gauge).enqueue(make_job())
    assert (full.value.is_full, full.value.retry_after_seconds, queue.jobs) == (True, 15, [])


async def test_jobs_that_were_added_since_count_until_the_next_look() -> None:
    loads = Loads(worker(0, 1, 1.0))
    gauge, queue = await gauge_of(loads), KeptJobs()
    bounded = BoundedJobQueue(queue, gauge)
    for _ in range(11):
        await bounded.enqueue(make_job())
    with pytest.raises(QueueUnavailable):
        await bounded.enqueue(make_job())
    assert len(queue.jobs) == 11
    await gauge.look()
    await bounded.enqueue(make_job())


async def test_free_slots_take_what_is_added_without_a_wait() -> None:
    gauge, queue = (
        await gauge_of(Loads(worker(0, 1, 1.0, slots=41), worker(0, 0, None, slots=10))),
        KeptJobs(),
    )
    bounded = BoundedJobQueue(queue, gauge)
    for _ in range(61):
        await bounded.enqueue(make_job())
    with pytest.raises(QueueUnavailable, match="11 jobs wait"):
        await bounded.enqueue(make_job())


async def test_what_ends_between_two_looks_makes_room() -> None:
    clock = [0.0]
    gauge = QueueGauge(Loads(worker(50, 4, 1.0)).read, 10, clock=lambda: clock[0])
    await gauge.look()
    with pytest.raises(QueueUnavailable):
        gauge.check()
    clock[0] = 2.5
    gauge.check()
    assert gauge.load == QueueLoad(lag=40, running=4, drain_per_second=4)


@pytest.mark.parametrize(
    "loads",
    [Loads(), Loads(worker(1000, 5, None)), Loads(worker(1000, 0, 1.0)), Loads(worker(0, 0, None))],
    ids=["no worker", "none has ended", "none runs", "nothing waits"],
)
async def test_what_nobody_knows_refuses_nobody(loads: Loads) -> None:
    (await gauge_of(loads)).check()


async def test_a_store_that_is_away_refuses_nobody() -> None:
    loads = Loads(worker(1000, 1, 1.0))
    gauge = await gauge_of(loads)
    loads.is_away = True
    await gauge.look()
    assert gauge.load is None
    gauge.check()


async def test_zero_refuses_never() -> None:
    (await gauge_of(Loads(worker(10**6, 1, 1.0)), 0)).check()


async def test_a_lane_waits_for_itself_and_for_the_shares_of_the_others() -> None:
    # Given 100 jobs that wait, and ten that end a second
    lanes = WorkerLoad(waiting=100, waiting_high=6, waiting_low=91, running=10, run_seconds=1.0)
    weights = parse_weights("6:3:1")
    load = load_of([lanes])
    assert load is not None
    # Then the urgent are through after themselves, three normal ones and one low; then so are the normal
    assert load.lags == {"high": 6, "normal": 3, "low": 91}
    assert load.wait_seconds_of("high", weights) == 1
    assert load.wait_seconds_of("normal", weights) == 1
    assert load.wait_seconds_of("low", weights) == 10
    # And where one lane alone waits, it waits for itself, and the others for nobody
    alone = load_of([worker(100, 10, 1.0)])
    assert alone is not None
    assert alone.wait_seconds_of("normal", weights) == alone.expected_wait_seconds == 10
    assert alone.wait_seconds_of("high", weights) == 0


async def test_a_flood_in_one_lane_refuses_nobody_in_another() -> None:
    load = WorkerLoad(waiting=1000, waiting_low=1000, running=10, run_seconds=1.0)
    gauge, queue = await gauge_of(Loads(load)), KeptJobs()
    bounded = BoundedJobQueue(queue, gauge)
    for _ in range(50):
        await bounded.enqueue(replace(make_job(), priority="high"))
    with pytest.raises(QueueUnavailable):
        await bounded.enqueue(replace(make_job(), priority="low"))
    # What was added since counts in its lane
    assert gauge.load is not None
    assert gauge.load.lags == {"high": 50, "normal": 0, "low": 1000}
