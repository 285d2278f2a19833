"""The plots are small, whole XML, for light pages and dark ones, and show the figures."""

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.bench.run_plots import COST, LANES, MEMORY, RATES, plots
from tests.bench.stage_table import TABLES

_MOST_BYTES = 16_384


def sample(system: str, rate: float) -> dict[str, Any]:
    return {"system": system, "point": "c=64", "requests_per_second": rate, "derived_per_second": rate * 1.25}


def results() -> dict[str, Any]:
    us = {
        part: {stage: 10.0 + n for n, stage in enumerate([*table, "event loop", "other"])}
        for part, table in TABLES.items()
    }
    return {
        "peers": {"litellm": "LiteLLM & co"},
        "throughput": [
            sample("ours", 1600),
            sample("ours", 1700),
            sample("ours", 1900),
            sample("litellm", 80),
        ],
        "stages": {"us": us},
        "memory": {"answered": [100, 200], "rss_mib": {"gateway": [80.0, 82.0], "worker": [140.0, 141.0]}},
        "lanes": [
            {
                "weights": "6:3:1",
                "lanes": [
                    {"priority": "high", "calls_by_second": [0, 60]},
                    {"priority": "low", "calls_by_second": [0, 10]},
                ],
            }
        ],
    }


def words_of(picture: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(picture).iter() if element.tag.endswith("text")]  # noqa: S314 our own


@pytest.mark.parametrize("name", [COST, RATES, MEMORY, LANES])
def test_a_plot_is_small_and_for_light_and_dark(name: str) -> None:
    picture = plots(results())[name]

    assert words_of(picture)
    assert len(picture.encode()) < _MOST_BYTES
    assert "prefers-color-scheme:dark" in picture


def test_the_cost_shows_every_stage_and_the_peers_as_wholes() -> None:
    words = words_of(plots(results())[COST])

    for part, table in TABLES.items():
        for number, stage in enumerate(table):
            assert f"{part}: {stage} {10 + number}" in words
    assert f"{1e6 / (80 * 1.25):.0f} µs" in words


def test_the_rates_are_medians() -> None:
    words = words_of(plots(results())[RATES])

    assert "1700 /s" in words
    assert "80 /s" in words


def test_the_lanes_are_named_at_their_ends() -> None:
    words = words_of(plots(results())[LANES])

    assert {"high 60 calls", "low 10 calls", "1 seconds"} <= set(words)


def test_nothing_is_drawn_of_what_was_not_measured() -> None:
    assert plots({"throughput": [], "stages": None, "memory": None, "peers": {}}) == {}
