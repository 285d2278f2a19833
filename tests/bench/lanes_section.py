"""What the lanes got, as lines of Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.bench.lanes import CALL_SECONDS, POSSIBLE_PER_SECOND, SLOTS, WORKERS
from tests.bench.markdown_table import table

_COLUMNS = (
    *("Load", "Lane", "offered/s", "calls/s", "share", "by weight"),
    *("longest pause s", "delay p50 ms", "delay p99 ms"),
)


def lanes_title(weights: str) -> str:
    return (
        f"Lanes, weights {weights}: {WORKERS} workers of {SLOTS} slots before a provider that takes "
        f"{CALL_SECONDS:g} s, {POSSIBLE_PER_SECOND:.0f} calls a second at most; not pinned"
    )


def lanes_lines(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    return [f"## {lanes_title(runs[0]['weights'])}", "", *lanes_table(runs)]


def lanes_table(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    return table(
        _COLUMNS, (_cells(run, lane) for run in runs for lane in run["lanes"] if lane["offered_per_second"])
    )


def _cells(run: Mapping[str, Any], lane: Mapping[str, Any]) -> list[str]:
    return [
        run["name"],
        lane["priority"],
        f"{lane['offered_per_second']}",
        f"{lane['calls_per_second']:.1f}",
        f"{lane['share']:.1%}",
        f"{lane['wanted_share']:.1%}",
        f"{lane['longest_pause_seconds']:.2f}",
        f"{lane['delay_ms_p50']:.0f}",
        f"{lane['delay_ms_p99']:.0f}",
    ]
