"""A run with all parts is told whole: as Markdown, as JSON, as plots, and in the README's form."""

from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from tests.bench.first_token import FirstToken
from tests.bench.in_flight import InFlight, Offer
from tests.bench.lanes import Lane, LaneRun
from tests.bench.memory import Memory
from tests.bench.open_loop import OpenPoint
from tests.bench.report import Report
from tests.bench.scaling import Scaled
from tests.bench.stages import StageBudget
from tests.bench.start_time import StartTimes
from tests.bench.throughput import Sample
from tests.docs.figures import BENCH_COLUMNS, bench_table

_OF_TYPE: dict[Any, Any] = {int: 1, float: 2.0, str: "", bool: False, list[float]: [1.0, 2.0, 3.0]}


def made(kind: type[Any], **given: Any) -> Any:
    """With some value in every field that is not given."""
    hints = get_type_hints(kind)
    rest = {
        field.name: _OF_TYPE.get(hints[field.name], _OF_TYPE.get((*get_args(hints[field.name]), 0)[0]))
        for field in fields(kind)
        if field.name not in given
    }
    return kind(**rest, **given)


LANE = Lane("low", 80, 9.9, 0.1, 0.11, 0.3, 5.0, 9.0, [0, 10])


def whole_report() -> Report:
    cpu_us = {"gateway": 300.0, "worker": 500.0, "broker": 200.0, "redis": None}
    peer_us = {"peer": 8000.0}
    samples = [
        made(Sample, point=point, system="ours", cpu_us=cpu_us, derived_per_second=1250.0, **CLEAN)
        for point in ("c=1", "c=64", "c=64")
    ]
    samples.append(
        made(Sample, point="c=64", system="litellm", cpu_us=peer_us, derived_per_second=125.0, **CLEAN)
    )
    counts = {"gateway": 9, "worker": 9}
    us = {"gateway": {"http": 100.0, "other": 200.0}, "worker": {"call": 500.0}}
    rss_mib = {"gateway": [80.0, 81.0], "worker": [140.0, 150.0]}
    return Report(
        command="python -m tests.bench",
        brokers="Apache Kafka; Redis",
        throughput=samples,
        peers={"litellm": "LiteLLM 1"},
        stages=made(StageBudget, us=us, around_us={"broker": 200.0}, samples=counts, **CLEAN),
        latency=[made(OpenPoint, share=share, **CLEAN) for share in (0.5, 0.8)],
        overload=[made(OpenPoint, share=share, **CLEAN) for share in (0.8, 5.0)],
        scaling=[made(Scaled, workers=n, slots=50, cores={}, **CLEAN) for n in (1, 2)],
        start=StartTimes({"gateway": [1.0], "worker": [2.0], "one process": [3.0]}),
        memory=made(Memory, requests=200, answered=[100, 200], rss_mib=rss_mib, **CLEAN),
        in_flight=made(InFlight, offer=Offer(), cores={"gateway": 0.1, "worker": 0.2}, **CLEAN),
        first_token=made(FirstToken, **CLEAN),
        lanes=[made(LaneRun, name="all flooded", weights="6:3:1", lanes=[LANE], **CLEAN)],
    )


CLEAN: dict[str, Any] = {"failed": 0, "wrong": 0, "first_problem": ""}


def tables_of(markdown: str) -> list[list[str]]:
    blocks = (block.splitlines() for block in markdown.split("\n\n"))
    return [block for block in blocks if block[0].startswith("|")]


def test_every_part_has_a_section_with_a_whole_table() -> None:
    report = whole_report()
    tables = tables_of(report.markdown())

    assert report.markdown().count("\n## ") == 11
    assert len(tables) >= 11
    for header, _, *rows in tables:
        assert rows
        assert {row.count("|") for row in rows} == {header.count("|")}


def test_the_readme_gets_tables_a_plot_and_a_sentence_of_each_part(tmp_path: Path) -> None:
    whole_report().save(tmp_path)

    text = bench_table(tmp_path)

    points, peers, stages = tables_of(text)
    assert points[0] == f"| {' | '.join(BENCH_COLUMNS)} |"
    assert [line.split(" | ")[0] for line in points[2:]] == ["| c=1", "| c=64"]
    assert "| 10.0 |" in peers[3]  # 1,250 against 125 by CPU
    assert stages[-1].endswith("| 800 |")
    assert "](../tests/bench/plots/cost.svg)" in text
    for words in (
        "Open load",
        "5 times the most",
        "2 x 50 slots",
        "to ready",
        "Memory over 200",
        "in flight",
    ):
        assert words in text


@pytest.mark.parametrize("part", ["latency", "overload", "scaling", "throughput"])
def test_a_wrong_answer_in_any_part_is_the_runs_problem(part: str) -> None:
    report = whole_report()
    assert report.problem == ""

    bad = made(Sample, cpu_us={}, point="c=1", system="ours", failed=0, wrong=1, first_problem="200 other")
    getattr(report, part).append(bad)

    assert report.problem == "200 other"
