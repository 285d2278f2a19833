"""What of a run of the bench stands in README.md, beside the plain points."""

import statistics
from collections.abc import Callable, Iterator
from typing import Any

from tests.bench.markdown_table import table
from tests.bench.run_plots import POINT
from tests.bench.stage_table import MEANINGS

Results = dict[str, Any]
Sample = dict[str, Any]

_PEER_COLUMNS = ("System", "req/s", "CPU µs", "by CPU alone", "p50 ms at c=1", "ours : theirs", "by CPU")
_FIRST = "c=1"


def peers_table(results: Results) -> str:
    """At 64 at once, medians of the rounds."""
    versions = {"ours": "this service, all promises on", **results["peers"]}
    ours = _medians(results, "ours")
    rows = [
        [
            version,
            f"{theirs['rate']:.0f}",
            f"{1e6 / theirs['derived']:.0f}",
            f"{theirs['derived']:.0f}",
            f"{theirs['p50_ms']:.1f}",
            *(f"{ours[name] / theirs[name]:.1f}" if system != "ours" else "" for name in ("rate", "derived")),
        ]
        for system, version in versions.items()
        if (theirs := _medians(results, system))["derived"]
    ]
    return "\n".join(table(_PEER_COLUMNS, rows))


def stages_table(results: Results) -> str:
    rows = [
        (part, stage, MEANINGS[stage], f"{us:.0f}")
        for part, stages in results["stages"]["us"].items()
        for stage, us in stages.items()
    ]
    total = sum(sum(stages.values()) for stages in results["stages"]["us"].values())
    rows.append(("both", "", "gateway and worker", f"{total:.0f}"))
    return "\n".join(table(("", "Stage", "What it is", "CPU µs"), rows))


def bench_sentences(results: Results) -> Iterator[str]:
    """One for each part that was measured."""
    for name, sentence in _SENTENCES.items():
        if results.get(name):
            yield sentence(results)


def _latency(results: Results) -> str:
    points = (
        f"at {point['share']:.0%} of the most ({point['offered_per_second']:.0f}/s) p50 "
        f"{point['p50_ms']:.1f}, p99 {point['p99_ms']:.1f} ms"
        for point in results["latency"]
    )
    return f"Open load, each request timed from when it was due: {'; '.join(points)}."


def _overload(results: Results) -> str:
    calm, flood = results["overload"]
    times = flood["p99_ms"] / (calm["p99_ms"] or 1)
    came_again = flood["obeyed"] + flood["given_up"]
    return (
        f"{flood['share']:g} times the most, with `LLM_MAX_QUEUE_SECONDS={results['max_queue_seconds']:g}`: "
        f"admitted work has a p99 of {flood['p99_ms']:.0f} ms, {times:.1f} times that at "
        f"{calm['share']:.0%}; {flood['refused']} of {flood['asked']} were refused, "
        f"{flood['untold_refusals']} of them without `Retry-After`; {flood['obeyed']} of {came_again} who "
        "obeyed it were answered."
    )


def _scaling(results: Results) -> str:
    ones = {each["slots"]: each["requests_per_second"] for each in results["scaling"] if each["workers"] == 1}
    found = (
        f"{each['workers']} x {each['slots']} slots {each['requests_per_second']:.0f}/s (efficiency "
        f"{each['requests_per_second'] / (each['workers'] * ones[each['slots']]):.2f}, "
        f"{each['busy_cores']:.1f} cores busy)"
        for each in results["scaling"]
    )
    return f"Workers before a provider that takes 1 s: {'; '.join(found)}."


def _start(results: Results) -> str:
    seconds = results["start"]["seconds"]
    found = (f"{part} {statistics.median(taken):.1f} s" for part, taken in seconds.items())
    return f"From the command to ready: {', '.join(found)}."


def _memory(results: Results) -> str:
    memory = results["memory"]
    tenth = memory["requests"] // 10
    settled = next(number for number, count in enumerate(memory["answered"]) if count >= tenth)
    found = (
        f"{part} {values[settled]:.0f} MiB after {tenth:,}, {values[-1]:.0f} MiB at the end"
        for part, values in memory["rss_mib"].items()
    )
    return f"Memory over {memory['requests']:,} requests: {'; '.join(found)}."


def _in_flight(results: Results) -> str:
    found = results["in_flight"]
    return (
        f"{found['peak_in_flight']} calls of 10 s in flight on one worker: queue delay p50 "
        f"{found['queue_ms_p50']:.1f} ms, p99 {found['queue_ms_p99']:.1f} ms; its memory grew by "
        f"{found['rss_growth']:.1%} over the second half of the steady phase."
    )


_SENTENCES: dict[str, Callable[[Results], str]] = {
    "latency": _latency,
    "overload": _overload,
    "scaling": _scaling,
    "start": _start,
    "memory": _memory,
    "in_flight": _in_flight,
}


def _medians(results: Results, system: str) -> dict[str, float]:
    def median(point: str, figure: str) -> float:
        found = [
            sample[figure] or 0.0
            for sample in results["throughput"]
            if (sample["system"], sample["point"]) == (system, point)
        ]
        return statistics.median(found) if found else 0.0

    rate, derived = median(POINT, "requests_per_second"), median(POINT, "derived_per_second")
    return {"rate": rate, "derived": derived, "p50_ms": median(_FIRST, "p50_ms")}
