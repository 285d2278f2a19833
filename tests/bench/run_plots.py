"""The plots of a run, made from its JSON."""

import statistics
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.bench.stage_table import COLLECTOR, EVENT_LOOP, OTHER
from tests.bench.svg import BLUES, GREYS, ORANGES, Bar, Group, Segment, bars, lines

Results = Mapping[str, Any]

COST = "cost.svg"
RATES = "rates.svg"
MEMORY = "memory.svg"
LANES = "lanes.svg"
POINT = "c=64"

_WAY = (
    *(("gateway", stage) for stage in ("http", "validate", "claim", "produce")),
    *(("worker", stage) for stage in ("consume", "begin", "call", "begin + save", "save", "copy", "observe")),
    *(("gateway", stage) for stage in ("notify", "answer", "observe")),
    *((part, stage) for part in ("gateway", "worker") for stage in (COLLECTOR, EVENT_LOOP, OTHER)),
)
"""The stages in the order in which a request passes them."""
_HIT_POINTS = {"cache hit": "hit c=64", "replay": "replay c=64"}


def plots(results: Results) -> dict[str, str]:
    """By file name; none of what was not measured."""
    made = {}
    if results.get("stages"):
        made[COST] = cost_plot(results)
    if results.get("throughput"):
        made[RATES] = rates_plot(results)
    if results.get("memory"):
        made[MEMORY] = memory_plot(results)
    if results.get("lanes"):
        made[LANES] = lanes_plot(results)
    return made


def save_plots(results: Results, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in plots(results).items():
        (folder / name).write_text(picture)


def cost_plot(results: Results) -> str:
    """Where the CPU of one request goes: ours by stage, and then all, as wholes, on a scale of their own."""
    us = results["stages"]["us"]
    segments = list(_segments(us))
    ours = [Bar(part, _of(segments, part), f"{sum(found.values()):.0f} µs") for part, found in us.items()]
    totals = {"ours": sum(each.value for each in segments)}
    totals |= {system: _median(results, system, POINT, _cpu_us) for system in results.get("peers", {})}
    groups = [Group(ours, segments)]
    if len(totals) > 1:
        groups.append(Group([_whole(label, total, "µs") for label, total in totals.items()]))
    return bars("CPU of one request, µs: 64 at once, provider at 0 ms", groups)


def rates_plot(results: Results) -> str:
    """Requests a second on one core."""
    rates = {
        "ours": _median(results, "ours", POINT, _rate),
        **{label: _median(results, "ours", point, _rate) for label, point in _HIT_POINTS.items()},
        **{system: _median(results, system, POINT, _rate) for system in results.get("peers", {})},
    }
    rows = [_whole(label, rate, "/s") for label, rate in rates.items() if rate]
    return bars("Requests a second on one core: 64 at once, provider at 0 ms", [Group(rows)])


def _of(segments: list[Segment], part: str) -> list[Segment]:
    return [segment for segment in segments if segment.name.startswith(f"{part}:")]


def _whole(label: str, value: float, unit: str) -> Bar:
    is_ours = label in ("ours", *_HIT_POINTS)
    return Bar(label, [Segment(label, value, BLUES[0] if is_ours else GREYS[0])], f"{value:.0f} {unit}")


def memory_plot(results: Results) -> str:
    memory = results["memory"]
    curves = [
        (part, list(zip(memory["answered"], values, strict=True)))
        for part, values in memory["rss_mib"].items()
    ]
    return lines("Resident memory, MiB", curves, "MiB")


def lanes_plot(results: Results) -> str:
    """Calls that have begun, by lane, while there is more in each than can be done."""
    run = results["lanes"][0]
    curves = [(lane["priority"], list(enumerate(lane["calls_by_second"]))) for lane in run["lanes"]]
    title = f"Calls begun while every lane is flooded, weights {run['weights']}"
    return lines(title, curves, "calls", "seconds")


def _segments(us: Mapping[str, Mapping[str, float]]) -> Iterator[Segment]:
    colours = {"gateway": iter(BLUES * 2), "worker": iter(ORANGES * 2)}
    greys = iter(GREYS * 2)
    named = [(part, stage) for part, stages in us.items() for stage in stages]
    on_way = [step for step in _WAY if step in named]
    for part, stage in [*on_way, *(step for step in named if step not in _WAY)]:
        colour = next(greys) if stage in (COLLECTOR, EVENT_LOOP, OTHER) else next(colours[part])
        yield Segment(f"{part}: {stage}", us[part][stage], colour)


def _rate(sample: Mapping[str, Any]) -> float:
    return float(sample["requests_per_second"])


def _cpu_us(sample: Mapping[str, Any]) -> float:
    return float(1e6 / sample["derived_per_second"]) if sample["derived_per_second"] else 0.0


def _median(results: Results, system: str, point: str, figure: Callable[[Mapping[str, Any]], float]) -> float:
    found = [
        figure(sample)
        for sample in results.get("throughput", [])
        if (sample["system"], sample["point"]) == (system, point)
    ]
    return statistics.median(found) if found else 0.0
