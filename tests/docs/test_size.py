"""docs/size.md's bytes are measured again, and its table follows from what was measured."""

import re

import pytest

from tests.bench.redis_memory import asked_with, scene
from tests.docs.pages import whole_text
from tests.docs.sizing import sizing_table, stored_bytes
from tests.docs.tables import tables_of

TABLES = tables_of(whole_text())
BENCH = "| At once | CPU µs gateway | CPU µs worker |\n| c=64 | 600 | 3000 |"
BYTES = "| a finished job, an answer of 1,000 letters | `REDIS_TTL_HOURS` | 2,000 |"


def test_a_stored_job_takes_what_the_page_says() -> None:
    told = stored_bytes(TABLES["redis_memory"])
    with scene() as here:
        assert here.bytes_a_job(asked_with(1_000), 150) == pytest.approx(told, rel=0.25)


def test_the_table_says_on_what_it_was_measured() -> None:
    assert re.search(r"(Redis|Valkey) [\d.]+, \d+ jobs a row; 20\d\d-\d\d-\d\d", TABLES["redis_memory"])


def test_the_sizes_follow_from_both() -> None:
    rows = [
        [cell.strip() for cell in row.strip("|").split("|")]
        for row in sizing_table(BENCH, BYTES).splitlines()
    ]
    of = {(rate, seconds): rest for rate, seconds, *rest in rows[2:]}
    # The CPU of the workers decides: 1,000 calls of 3 ms want three cores, at 60 % five
    assert of["1,000", "2"] == ["2,000", "2", "5", "24", "172.8 GB", "346 GB"]
    # What they hold decides
    assert of["1,000", "20"] == ["20,000", "2", "20", "40", "172.8 GB", "346 GB"]
    # And two of each are the least
    assert of["10", "2"] == ["20", "2", "2", "24", "1.7 GB", "3 GB"]
