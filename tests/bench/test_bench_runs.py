"""The bench itself works: what it measures is for `make bench`."""

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.bench.run_plots import COST, RATES
from tests.bench.servers import ROOT
from tests.bench.stage_table import TABLES
from tests.conftest import missing
from tests.support.availability import Unavailable
from tests.support.kafka_brokers import find_apache_kafka
from tests.support.redis_servers import find_any_redis

pytestmark = pytest.mark.campaign


@pytest.mark.timeout(600)
def test_a_tiny_run_beside_a_peer_prints_complete_tables_without_a_wrong_answer(tmp_path: Path) -> None:
    try:
        find_apache_kafka()
        find_any_redis()
    except Unavailable as reason:
        missing(str(reason))

    words = ["--tiny", "--only", "throughput,stages", "--peers", "sketch", "--results", f"{tmp_path}"]
    command = [sys.executable, "-m", "tests.bench", *words]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stderr + ran.stdout
    assert "Wrong or failed answers: none" in ran.stdout
    head, _, row = (line.split("|")[1:-1] for line in ran.stdout.splitlines()[:14] if line.startswith("|"))
    assert len(head) == len(row)
    assert all(cell.strip() not in ("", "?", "0") for cell in row[:9])  # to the CPU of every part
    assert (tmp_path / "results.md").read_text() == ran.stdout.removesuffix("\n")
    results = orjson.loads((tmp_path / "results.json").read_bytes())
    for sample in results["throughput"]:
        assert sample["failed"] == sample["wrong"] == 0
        assert sample["requests_per_second"] > 0
        assert sample["derived_per_second"] > 0
    assert [sample["system"] for sample in results["throughput"]] == ["ours", "sketch"]
    assert (tmp_path / RATES).exists()
    _check_stages(results, tmp_path)


def _check_stages(results: dict, folder: Path) -> None:  # type: ignore[type-arg]
    if results["stages"] is None:  # nobody may look into a process here
        assert any("stages was not measured" in note for note in results["notes"])
        return
    for process, table in TABLES.items():
        assert set(results["stages"]["us"][process]) & set(table)
        assert results["stages"]["samples"][process] > 0
    assert (folder / COST).exists()
