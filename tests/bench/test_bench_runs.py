"""The bench itself works: what it measures is for `make bench`."""

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.bench.servers import ROOT
from tests.conftest import missing
from tests.support.availability import Unavailable
from tests.support.kafka_brokers import find_apache_kafka
from tests.support.redis_servers import find_any_redis

pytestmark = pytest.mark.alone


def test_a_tiny_run_prints_a_complete_table_without_a_wrong_answer(tmp_path: Path) -> None:
    try:
        find_apache_kafka()
        find_any_redis()
    except Unavailable as reason:
        missing(str(reason))

    command = [sys.executable, "-m", "tests.bench", "--tiny", "--results", f"{tmp_path}"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stderr + ran.stdout
    assert "Wrong or failed answers: none" in ran.stdout
    head, _, row = (line.split("|")[1:-1] for line in ran.stdout.splitlines() if line.startswith("|"))
    assert len(head) == len(row)
    assert all(cell.strip() not in ("", "?", "0") for cell in row[:9])  # to the CPU of every part
    assert (tmp_path / "results.md").read_text() == ran.stdout.removesuffix("\n")
    [sample] = orjson.loads((tmp_path / "results.json").read_bytes())["throughput"]
    assert sample["failed"] == sample["wrong"] == 0
    assert sample["requests_per_second"] > 0
