"""A limit that is there only while jobs wait too long, and follows what the workers can do."""

import random

import pytest

from gateway.in_flight_limit import NO_LIMIT, InFlightLimit
from gateway.turns import Turns
from tests.unit.gateway.queue_model import QueueModel

MAX_WAIT = 0.1


def test_below_the_most_there_is_no_limit() -> None:
    model = QueueModel(MAX_WAIT).run(20, 1900.0)
    assert (model.limit.limit, model.refused) == (NO_LIMIT, 0)


def test_a_flood_is_cut_to_a_short_queue_and_the_workers_stay_busy() -> None:
    model = QueueModel(MAX_WAIT).run(5, 1600.0).run(10, 10_000.0)
    assert model.limit.is_limited
    assert model.refused > 70_000
    assert len(model.waits) >= 0.97 * 10 * 2000
    assert model.percentile(0.5) < 0.2 * MAX_WAIT
    assert model.percentile(0.98) < 0.5 * MAX_WAIT


def test_when_the_flood_is_over_there_is_no_limit_again() -> None:
    model = QueueModel(MAX_WAIT).run(5, 10_000.0)
    assert model.limit.is_limited
    model.run(2, 1600.0)
    assert model.limit.limit == NO_LIMIT
    assert model.run(10, 1900.0).refused == 0


def test_the_limit_follows_workers_that_come_and_go() -> None:
    model = QueueModel(MAX_WAIT).run(5, 10_000.0)
    model.per_second = 500
    model.run(1, 10_000.0)
    assert model.run(4, 10_000.0).percentile(0.9) < 0.4 * MAX_WAIT
    model.per_second = 4000
    model.run(1, 10_000.0)
    assert len(model.run(4, 10_000.0).waits) >= 0.95 * 4 * 4000


def test_a_slow_provider_is_not_waiting() -> None:
    model = QueueModel(MAX_WAIT)
    model.provider_seconds = 10
    # A thousand at once into an empty house, and then as many as end
    model.run(0.5, 2000.0).run(40, 95.0)
    assert (model.limit.limit, model.refused) == (NO_LIMIT, 0)


@pytest.mark.parametrize("jobs", [50, 1000, 1800])
def test_a_burst_that_is_soon_over_is_let_in(jobs: int) -> None:
    model = QueueModel(1.0).run(20, 5.0)
    model.run(0.1, jobs * 10.0).run(5, 5.0)
    assert (model.limit.limit, model.refused) == (NO_LIMIT, 0)


def test_beyond_the_slots_of_a_slow_provider_only_what_would_wait_too_long_is_refused() -> None:
    model = QueueModel(3.0, slots=100)
    model.provider_seconds = 1
    model.run(120, 200.0)
    assert model.limit.is_limited
    model.run(60, 200.0)
    assert len(model.waits) >= 0.97 * 60 * 100
    assert model.percentile(0.9) < 3.0


def test_a_standstill_is_forgiven() -> None:
    model = QueueModel(MAX_WAIT).run(5, 1600.0)
    model.per_second = 0
    model.run(0.5, 1600.0)
    model.per_second = 2000
    model.run(3, 1600.0)
    assert model.limit.limit == NO_LIMIT
    assert model.run(5, 1600.0).refused == 0


def test_gateways_before_the_same_workers_come_to_equal_shares() -> None:
    model = QueueModel(MAX_WAIT, gateways=2).run(2, 10_000.0)
    model.limits[0].limit *= 4
    model.run(10, 10_000.0)
    most, least = sorted(model.run(5, 10_000.0).ended, reverse=True)
    assert most < 1.3 * least


def test_a_queue_that_others_fill_within_the_allowed_limits_nobody_here() -> None:
    model = QueueModel(1.0).run(5, 1600.0)
    model.per_second = 0
    model.run(3, 1600.0)
    model.per_second = 2000
    model.base_seconds = 0.5
    model.run(1, 10_000.0)
    assert model.limit.is_limited
    model.run(30, 1600.0)
    assert model.limit.limit == NO_LIMIT
    assert model.run(5, 1600.0).refused == 0


def test_who_obeys_is_answered_as_soon_as_the_workers_can() -> None:
    model = QueueModel(MAX_WAIT)
    model.to_come = []
    model.run(5, 1600.0).run(10, 10_000.0)
    assert len(model.to_come) > 50_000
    # 80,000 are left, which are 40 seconds of work
    random.seed(7)
    model.run(65, 0.0)
    assert model.to_come == []
    assert model.refused < 4_000


def test_ends_that_come_in_bursts_are_not_taken_for_more() -> None:
    clock = [0.0]
    limit = InFlightLimit(0, lambda: clock[0])
    for burst in range(200):
        clock[0] = 0.1 * (burst // 2) + 0.03 * (burst % 2)
        for _ in range(10):
            limit.enter()
            limit.leave()
            limit.learn(clock[0], 0)
    assert limit.ends_per_second == pytest.approx(200, rel=0.1)


@pytest.mark.parametrize("wait_seconds", [0.1, 1000.0])
def test_zero_limits_never(wait_seconds: float) -> None:
    clock = [0.0]
    limit = InFlightLimit(0, lambda: clock[0])
    for _ in range(1000):
        assert limit.enter()
        clock[0] += wait_seconds
        limit.learn(clock[0] - wait_seconds, 0)
    assert (limit.limit, limit.in_flight) == (NO_LIMIT, 1000)


def test_who_is_refused_gets_a_turn_of_his_own() -> None:
    random.seed(7)
    turns = Turns(lambda: 100.0)
    told = [turns.next_seconds(50) for _ in range(500)]
    assert min(told) == 1
    assert max(told) <= 15
    assert all(20 <= told.count(second) <= 65 for second in range(2, 9))


def test_nobody_is_told_to_wait_for_hours() -> None:
    turns = Turns(lambda: 0.0)
    assert max(turns.next_seconds(0.001) for _ in range(100)) <= 376


def test_turns_are_forgotten_when_there_is_room() -> None:
    turns = Turns(lambda: 0.0)
    for _ in range(300):
        turns.next_seconds(10)
    turns.forget()
    assert turns.next_seconds(10) <= 2


def test_turns_pass() -> None:
    clock = [0.0]
    turns = Turns(lambda: clock[0])
    for _ in range(300):
        turns.next_seconds(10)
    clock[0] = 33.0
    assert turns.next_seconds(10) <= 2
