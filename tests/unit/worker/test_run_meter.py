"""How many run, and how long one takes lately."""

import pytest

from worker.run_meter import RunMeter


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr("worker.run_meter.time.monotonic", lambda: now[0])
    return now


def take(meter: RunMeter, clock: list[float], seconds: float) -> None:
    with meter.run():
        clock[0] += seconds


def test_before_the_first_end_nobody_knows(clock: list[float]) -> None:
    meter = RunMeter()
    with meter.run():
        assert (meter.running, meter.run_seconds) == (1, None)
        clock[0] += 3
    assert (meter.running, meter.run_seconds) == (0, 3)


def test_the_mean_follows_a_change(clock: list[float]) -> None:
    meter = RunMeter()
    take(meter, clock, 1)
    for _ in range(100):
        take(meter, clock, 5)
    assert meter.run_seconds == pytest.approx(5, rel=0.01)


def test_a_run_that_breaks_is_over_too(clock: list[float]) -> None:
    meter = RunMeter()
    with pytest.raises(RuntimeError), meter.run():
        raise RuntimeError
    assert (meter.running, clock) == (0, [0.0])
