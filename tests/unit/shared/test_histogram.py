"""Percentiles of counts in buckets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.histogram import RELATIVE_ACCURACY, bucket_of, percentile_ms

durations = st.lists(st.floats(min_value=0.001, max_value=4e6), min_size=1, max_size=200)


def counts_of(values: list[float]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for value in values:
        counts[bucket_of(value)] = counts.get(bucket_of(value), 0) + 1
    return counts


@given(durations, st.sampled_from([0, 50, 95, 99, 100]))
def test_a_percentile_is_a_duration_that_came_to_one_percent(values: list[float], percent: float) -> None:
    exact = sorted(values)[int((len(values) - 1) * percent / 100)]
    told = percentile_ms(counts_of(values), percent)
    assert told == pytest.approx(exact, rel=RELATIVE_ACCURACY * 1.01, abs=0.0006)


@given(durations, durations)
def test_the_sum_of_two_is_the_histogram_of_all(one: list[float], other: list[float]) -> None:
    both = counts_of(one)
    for bucket, count in counts_of(other).items():
        both[bucket] = both.get(bucket, 0) + count
    assert both == counts_of(one + other)


def test_what_is_too_short_to_measure_counts_and_nothing_has_no_percentile() -> None:
    assert percentile_ms({bucket_of(0.0): 1}, 50) == pytest.approx(0.001, abs=0.0006)
    assert percentile_ms({}, 50) is None
