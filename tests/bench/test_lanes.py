"""The shares that the lanes are held against, and a short run of the real thing."""

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from shared.domain.priority import parse_weights
from tests.bench.lanes import Offer, wanted_shares
from tests.bench.run_plots import LANES
from tests.bench.servers import ROOT
from tests.conftest import missing
from tests.support.availability import Unavailable
from tests.support.kafka_brokers import find_apache_kafka
from tests.support.redis_servers import find_any_redis

WEIGHTS = parse_weights("6:3:1")


def test_flooded_lanes_share_by_weight() -> None:
    offer = Offer("", {"high": 80, "normal": 80, "low": 80}, 1)
    assert wanted_shares(offer, WEIGHTS, 100) == {"high": 0.6, "normal": 0.3, "low": 0.1}


def test_what_a_modest_lane_leaves_is_the_others() -> None:
    shares = wanted_shares(Offer("", {"high": 10, "normal": 80, "low": 80}, 1), WEIGHTS, 90)
    assert shares["high"] == pytest.approx(10 / 90)
    assert shares["normal"] == pytest.approx(3 * shares["low"])


def test_a_lane_alone_has_all() -> None:
    assert wanted_shares(Offer("", {"high": 0, "normal": 0, "low": 50}, 1), WEIGHTS, 40)["low"] == 1


@pytest.mark.campaign
@pytest.mark.timeout(300)
def test_a_short_run_shows_the_weights(tmp_path: Path) -> None:
    try:
        find_apache_kafka()
        find_any_redis()
    except Unavailable as reason:
        missing(str(reason))

    words = ["--short", "--only", "lanes", "--results", f"{tmp_path}"]
    command = [sys.executable, "-m", "tests.bench", *words]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stderr + ran.stdout
    [run] = orjson.loads((tmp_path / "results.json").read_bytes())["lanes"]
    for lane in run["lanes"]:
        assert lane["share"] == pytest.approx(lane["wanted_share"], abs=0.08)
        assert lane["calls_by_second"][-1] > lane["calls_by_second"][len(lane["calls_by_second"]) // 2]
    assert (tmp_path / LANES).exists()
