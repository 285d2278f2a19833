"""Two runs compared: ratios of medians, and what is only noise."""

from typing import Any

import pytest

from tests.bench.compare import compared_lines, verdict


def run(rates: list[float], worker_us: float) -> dict[str, Any]:
    cpu_us = {"gateway": 100.0, "worker": worker_us, "broker": 999.0, "redis": None}
    samples = [
        {"system": "ours", "point": "c=64", "requests_per_second": rate, "cpu_us": cpu_us} for rate in rates
    ]
    stages = {"us": {"worker": {"call": worker_us}}}
    return {"at": "yesterday", "machine": "this one", "throughput": samples, "stages": stages}


def test_ratios_are_of_medians_and_the_noise_is_the_wider_spread() -> None:
    [row] = [
        line for line in compared_lines(run([90, 100, 110], 400), run([200, 202, 204], 200)) if "c=64" in line
    ]

    cells = [cell.strip() for cell in row.strip("|").split("|")]

    assert cells[2:6] == ["202", "100", "2.02", "20%"]
    assert cells[6:10] == ["300", "500", "0.60", "0%"]
    assert cells[10] == "req/s higher; CPU lower"


def test_stages_are_compared_by_name() -> None:
    lines = compared_lines(run([100], 400), run([100], 200))

    assert "| worker: call | 200 | 400 | 0.50 |" in lines


def test_a_point_that_only_one_run_has_is_left_out() -> None:
    other = run([1], 1)
    other["throughput"][0]["point"] = "c=1"

    assert not any("c=64" in line or "c=1 " in line for line in compared_lines(other, run([100], 200)))


@pytest.mark.parametrize(
    ("ratio", "noise", "expected"),
    [
        (1.04, 0.05, "within the noise"),
        (0.94, 0.05, "lower"),
        (1.06, 0.05, "higher"),
        (2.0, None, "unknown: one round"),
    ],
)
def test_a_ratio_within_the_noise_says_nothing(ratio: float, noise: float | None, expected: str) -> None:
    assert verdict(ratio, noise) == expected
