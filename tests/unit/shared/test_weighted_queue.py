"""Lanes are served by their weights, and none is forgotten, whatever comes when."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.priority import PRIORITIES, Priority, Weights, lanes_of, parse_weights
from shared.domain.weighted_queue import WeightedQueue

SOME_WEIGHTS = st.tuples(*[st.integers(1, 100)] * 3).map(
    lambda each: dict(zip(PRIORITIES, each, strict=True))
)
PUTS_AND_TAKES = st.lists(st.sampled_from([*PRIORITIES, None]), max_size=200)
"""The lane that gets something; None: something is taken."""


def full(weights: Weights, items: int) -> WeightedQueue[tuple[Priority, int]]:
    queue: WeightedQueue[tuple[Priority, int]] = WeightedQueue(weights)
    for number in range(items):
        for priority in PRIORITIES:
            queue.put(priority, (priority, number))
    return queue


@given(SOME_WEIGHTS, st.integers(1, 500))
def test_lanes_that_all_wait_get_their_shares_at_every_moment(weights: Weights, takes: int) -> None:
    queue = full(weights, takes)
    taken = Counter(queue.take()[0] for _ in range(takes))
    for priority, weight in weights.items():
        share = takes * weight / sum(weights.values())
        assert abs(taken[priority] - share) <= len(weights)


@given(SOME_WEIGHTS, PUTS_AND_TAKES)
def test_nobody_waits_for_ever(weights: Weights, steps: list[Priority | None]) -> None:
    queue: WeightedQueue[Priority] = WeightedQueue(weights)
    passed_over: dict[Priority, Counter[Priority]] = {priority: Counter() for priority in weights}
    for step in steps:
        if step is not None:
            queue.put(step, step)
        elif queue:
            taken = queue.take()
            for priority, others in passed_over.items():
                is_passed_over = priority != taken and queue.waiting(priority)
                passed_over[priority] = others + Counter([taken]) if is_passed_over else Counter()
            assert_bounded(passed_over, weights)


def assert_bounded(passed_over: dict[Priority, Counter[Priority]], weights: Weights) -> None:
    """By as many of another lane as it has times our weight, and one."""
    for priority, others in passed_over.items():
        for other, count in others.items():
            assert count <= weights[other] / weights[priority] + 1.001


@given(SOME_WEIGHTS, PUTS_AND_TAKES)
def test_a_lane_keeps_its_order_and_nothing_gets_lost(weights: Weights, steps: list[Priority | None]) -> None:
    queue: WeightedQueue[tuple[Priority, int]] = WeightedQueue(weights)
    taken = []
    for number, step in enumerate(steps):
        if step is not None:
            queue.put(step, (step, number))
        elif queue:
            taken.append(queue.take())
    taken += [queue.take() for _ in range(len(queue))]
    for priority in PRIORITIES:
        put = [(step, number) for number, step in enumerate(steps) if step == priority]
        assert [each for each in taken if each[0] == priority] == put


def test_who_waits_alone_is_taken_at_once() -> None:
    queue: WeightedQueue[int] = WeightedQueue({"high": 6, "normal": 3, "low": 1})
    for number in range(50):
        queue.put("low", number)
    assert [queue.take() for _ in range(50)] == list(range(50))
    with pytest.raises(IndexError):
        queue.take()


def test_a_lane_saves_up_no_turns_while_it_is_empty() -> None:
    # Given that for a long time only the low lane had something
    queue: WeightedQueue[str] = WeightedQueue({"high": 6, "normal": 3, "low": 1})
    for _ in range(1000):
        queue.put("low", "low")
        queue.take()
    # When all of them have
    for _ in range(100):
        for priority in PRIORITIES:
            queue.put(priority, priority)
    # Then the others come first, and the low lane with its share from the beginning
    taken = [queue.take() for _ in range(20)]
    assert taken[0] == "high"
    counts = Counter(taken)
    assert all(abs(counts[name] - share) <= 1 for name, share in {"high": 12, "normal": 6, "low": 2}.items())


@pytest.mark.parametrize(
    "text", ["6:3", "6:3:1:1", "6:3:0", "101:1:1", "6;3;1", "", "-1:1:1", "1.5:1:1", "٣:1:1"]
)
def test_weights_that_would_starve_somebody_or_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="high:normal:low"):
        parse_weights(text)


def test_weights_are_told_from_the_most_urgent_down() -> None:
    assert parse_weights("100:10:1") == {"high": 100, "normal": 10, "low": 1}


def test_the_normal_lane_has_the_name_that_it_always_had() -> None:
    assert lanes_of("jobs") == {"high": "jobs.high", "normal": "jobs", "low": "jobs.low"}
