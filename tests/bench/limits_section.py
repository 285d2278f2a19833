"""What becomes of the service at its limits, as lines of Markdown."""

from collections.abc import Sequence

from tests.bench.markdown_table import table
from tests.bench.memory import Memory
from tests.bench.open_loop import MOST, OpenPoint
from tests.bench.scaling import CALL_SECONDS, Scaled, efficiency
from tests.bench.start_time import StartTimes

_OPEN_COLUMNS = (
    *("Offered, of the most", "offered/s", "admitted/s", "p50 ms", "p90 ms", "p99 ms", "most ms"),
    *("service cores", "foreign cores"),
)


def latency_lines(points: Sequence[OpenPoint]) -> list[str]:
    title = "## Latency at an open load: Poisson arrivals, each timed from when it was due, one core"
    return [title, "", *table(_OPEN_COLUMNS, map(_open_cells, points))]


def overload_lines(points: Sequence[OpenPoint], max_queue_seconds: float) -> list[str]:
    title = f"## Overload: LLM_MAX_QUEUE_SECONDS={max_queue_seconds:g}, one core"
    lines = [title, "", *table(_OPEN_COLUMNS, map(_open_cells, points))]
    calm = next((point for point in points if point.share == MOST), None)
    for point in points:
        if point.share > 1:
            lines += ["", *table(["", ""], _overload_rows(point, calm))]
    return lines


def _overload_rows(point: OpenPoint, calm: OpenPoint | None) -> list[tuple[str, str]]:
    least, mean, most = point.retry_after_seconds
    came_again = point.obeyed + point.given_up
    rows = [
        ("Refused with 429 or 503", f"{point.refused} of {point.asked}"),
        ("Refused without Retry-After, repetitions too", f"{point.untold_refusals}"),
        ("Retry-After, least / mean / most", f"{least:.1f} / {mean:.1f} / {most:.1f} s"),
        ("Who obeyed it succeeded", f"{point.obeyed} of {came_again}"),
        ("of them with the first repetition", f"{point.obeyed_at_once}"),
        ("Repetitions each, mean", f"{point.repeats / came_again:.1f}" if came_again else "0"),
        ("Neither answered nor refused", f"{point.failed}"),
    ]
    if calm is not None and calm.p99_ms:
        times = f"{point.p99_ms / calm.p99_ms:.2f}"
        rows.insert(0, (f"p99 of admitted work, times that at {MOST:.0%} (wanted: at most 1.5)", times))
    return rows


def _open_cells(point: OpenPoint) -> list[str]:
    figures = (point.p50_ms, point.p90_ms, point.p99_ms, point.most_ms)
    return [
        f"{point.share:.0%}",
        f"{point.offered_per_second:.0f}",
        f"{point.admitted_per_second:.0f}",
        *(f"{ms:.1f}" for ms in figures),
        f"{point.service_cores:.2f}",
        f"{point.foreign_cores:.2f}",
    ]


def scaling_lines(scaled: Sequence[Scaled]) -> list[str]:
    title = (
        f"## Scaling: workers before a provider that takes {CALL_SECONDS:g} s, not pinned (wanted: "
        "efficiency at least 0.9 until the cores are full)"
    )
    columns = (
        "Slots each",
        "Workers",
        "req/s",
        "of possible",
        "efficiency",
        "p50 ms",
        "busy cores",
        "remark",
    )
    return [title, "", *table(columns, (_scaling_cells(each, _one(scaled, each)) for each in scaled))]


def _one(scaled: Sequence[Scaled], each: Scaled) -> Scaled:
    return next(one for one in scaled if one.slots == each.slots and one.workers == 1)


def _scaling_cells(each: Scaled, one: Scaled) -> list[str]:
    return [
        f"{each.slots}",
        f"{each.workers}",
        f"{each.requests_per_second:.0f}",
        f"{each.requests_per_second / each.possible_per_second:.0%}",
        f"{efficiency(each, one):.2f}",
        f"{each.p50_ms:.0f}",
        f"{each.busy_cores:.2f}",
        "the cores are full" if each.is_machine_full else "",
    ]


def start_lines(start: StartTimes) -> list[str]:
    rows = [
        (part, f"{start.median(part):.2f}", f"{min(taken):.2f}-{max(taken):.2f}")
        for part, taken in start.seconds.items()
    ]
    title = "## Start: from the command to ready (the worker: to its first partition), not pinned"
    return [title, "", *table(["", "median s", "range s"], rows)]


def memory_lines(memory: Memory) -> list[str]:
    rows = [
        (part, f"{memory.early_mib(part):.1f}", f"{memory.last_mib(part):.1f}", f"{memory.growth(part):+.1%}")
        for part in memory.rss_mib
    ]
    title = f"## Memory over {memory.requests:,} requests, c=64 (wanted: growth below 5 %)"
    columns = ("RSS, MiB", f"after {memory.requests // 10:,}", "at the end", "growth")
    return [title, "", *table(columns, rows)]
