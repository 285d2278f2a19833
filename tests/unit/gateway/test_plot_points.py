"""What a reader of the plots is sent: half minutes, and only those that changed."""

from gateway.plot_points import POINT_SECONDS, PlotPoints
from gateway.queue_history import QueueHistory
from gateway.recent import Recent
from shared.domain.queue_load import QueueLoad

START = 1_800_000_000
LOAD = QueueLoad(lag=1, running=5, drain_per_second=1)


def test_a_point_adds_up_its_slices() -> None:
    slices = {START: {"jobs_succeeded": 1}, START + 20: {"jobs_succeeded": 2}, START + 30: {"jobs_failed": 4}}
    first, second = PlotPoints().of_jobs(slices)
    assert (first["at"], first["seconds"], first["requests"]["succeeded"]) == (START, POINT_SECONDS, 3)
    assert (second["at"], second["requests"]["failed"]) == (START + 30, 4)


def test_only_what_changed_is_sent_again() -> None:
    points = PlotPoints()
    old = {START: {"jobs_succeeded": 1}, START + 60: {"jobs_succeeded": 1}, START + 70: {}}
    assert len(points.of_jobs(old)) == 2
    assert points.of_jobs(old) == []
    [again] = points.of_jobs({**old, START + 70: {"jobs_succeeded": 6}})
    assert (again["at"], again["requests"]["succeeded"]) == (START + 60, 7)


def test_of_the_queue_the_peak_counts_and_what_nobody_saw_is_no_point() -> None:
    now = [float(START)]
    history, points = QueueHistory(lambda: now[0]), PlotPoints()
    history.note(LOAD)
    history.note(QueueLoad(lag=9, running=2, drain_per_second=1))
    now[0] += 20
    history.note(QueueLoad(lag=0, running=7, drain_per_second=1))
    now[0] += 300
    history.note(None)
    expected = {"at": START, "seconds": POINT_SECONDS, "in_flight": 7, "lag": 9}
    assert points.of_queue(history.peaks()) == [expected]
    assert points.of_queue(history.peaks()) == []


def test_an_hour_is_remembered() -> None:
    now = [float(START)]
    history = QueueHistory(lambda: now[0])
    for _ in range(1000):
        history.note(LOAD)
        now[0] += 10
    assert (len(history.peaks()), max(history.peaks())) == (360, START + 9990)


async def test_many_readers_are_served_by_one_report_a_second() -> None:
    made, now = [0], [0.0]

    async def make() -> int:
        made[0] += 1
        return made[0]

    recent = Recent(make, lambda: now[0])
    assert [await recent.get() for _ in range(3)] == [1, 1, 1]
    now[0] = 1.0
    assert [await recent.get(), await recent.get()] == [2, 2]
