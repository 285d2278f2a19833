"""The measured figures of the documents: what the last `make chaos`, `bench` and `images` left in `.cache`.

`make figures` writes them, and the plots beside the bench. Each point of the bench shows its middle round.
What was not run since the cache was emptied keeps its figures. Two parts of the bench are runs of their own:
`make bench ARGS="--only memory --results .cache/memory"`, and the same with `lanes`.
"""

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.lanes_section import lanes_table as rows_of_lanes
from tests.bench.lanes_section import lanes_title
from tests.bench.run_plots import COST, save_plots
from tests.docs.bench_figures import bench_sentences, peers_table, stages_table
from tests.docs.pages import ROOT
from tests.docs.tables import write_tables

_RESULTS = ROOT / ".cache"
PLOTS = ROOT / "tests" / "bench" / "plots"
BENCH_COLUMNS = ["At once", "req/s", "p50 ms", "p99 ms", "CPU µs gateway", "CPU µs worker"]


def chaos_table(folder: Path = _RESULTS / "chaos") -> str:
    """The table as the campaigns printed it, and the line that says on what."""
    table, surroundings, *_ = (folder / "results.md").read_text().split("\n\n")
    return f"{table}\n\n{surroundings}"


def bench_table(folder: Path = _RESULTS / "bench") -> str:
    """Throughput, the peers, where the CPU goes, and what the other parts found."""
    results = bench_results(folder)
    rows = [_row(BENCH_COLUMNS), _row(["---"] * len(BENCH_COLUMNS))]
    ours = [sample for sample in results["throughput"] if sample["system"] == "ours"]
    points = dict.fromkeys(sample["point"] for sample in ours)
    rows += [_point(point, [sample for sample in ours if sample["point"] == point]) for point in points]
    measured = (
        f"{results['machine']}, {results['python']}, {results['brokers']}; {results['at']}; `make bench`"
    )
    sections = ["\n".join(rows), measured]
    if results["peers"]:
        sections.append(peers_table(results))
    if results["stages"]:
        plot = f"../{PLOTS.relative_to(ROOT)}/{COST}"  # as docs/ sees it
        sections += [f"![Where the CPU of one request goes]({plot})", stages_table(results)]
    return "\n\n".join([*sections, *bench_sentences(results)])


def bench_results(folder: Path) -> dict[str, Any]:
    """With the long part, if it was run by itself."""
    results: dict[str, Any] = json.loads((folder / "results.json").read_text())
    beside = folder.parent / "memory" / "results.json"
    if results["memory"] is None and beside.exists():
        results["memory"] = json.loads(beside.read_text())["memory"]
    return results


def images_table(folder: Path = _RESULTS / "images") -> str:
    """As the stage printed it."""
    return (folder / "results.md").read_text().strip()


def telemetry_line(folder: Path = _RESULTS / "bench") -> str:
    """What being seen costs."""
    results: dict[str, Any] = json.loads((folder / "results.json").read_text())
    found = results["telemetry"]
    busy, paced = (_cost_us(found[name]) for name in ("busy", "paced"))
    measured = f"{results['machine']}, {results['python']}, {results['brokers']}; {results['at']}"
    return (
        "Being seen (facts on Kafka, series, the line of a request, sums; gateway and worker together) costs "
        f"a job {busy} of CPU in a busy process, {paced} at 500 jobs/s.\n\n"
        f"{measured}; a fixed loop took {found['calibration_ms']:.1f} ms; `{results['command']}`"
    )


def _cost_us(pairs: dict[str, list[float]]) -> str:
    costs = [seen - unseen for seen, unseen in zip(pairs["seen_us"], pairs["unseen_us"], strict=True)]
    return f"{statistics.median(costs):.0f} µs ({min(costs):.0f}-{max(costs):.0f})"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _point(point: str, samples: list[dict[str, Any]]) -> str:
    middle = sorted(samples, key=lambda sample: float(sample["requests_per_second"]))[len(samples) // 2]
    cpu = middle["cpu_us"]
    return _row(
        [
            point,
            f"{middle['requests_per_second']:.0f}",
            f"{middle['p50_ms']:.2f}",
            f"{middle['p99_ms']:.1f}",
            f"{cpu['gateway']:.0f}",
            f"{cpu['worker']:.0f}" if cpu.get("worker", 0) > 10 else "-",  # it was idle
        ]
    )


def lanes_table(folder: Path = _RESULTS / "lanes") -> str:
    """What each lane got, and on what."""
    results: dict[str, Any] = json.loads((folder / "results.json").read_text())
    runs = results["lanes"]
    measured = f"{results['machine']}, {results['python']}, {results['brokers']}; {results['at']}"
    told = f"{lanes_title(runs[0]['weights'])}. {measured}; `{results['command']}`"
    return "\n\n".join(["\n".join(rows_of_lanes(runs)), told])


def _was_measured(name: str, folder: Path) -> bool:
    """A run of some parts leaves what it did not measure empty."""
    if not (folder / "results.md").exists():
        return False
    parts = {"bench": "throughput", "telemetry": "telemetry"}
    return name not in parts or bool(json.loads((folder / "results.json").read_text())[parts[name]])


def main() -> None:
    makers: dict[str, tuple[Callable[[Path], str], Path]] = {
        "chaos": (chaos_table, _RESULTS / "chaos"),
        "flood": (chaos_table, _RESULTS / "chaos" / "flood"),
        "bench": (bench_table, _RESULTS / "bench"),
        "telemetry": (telemetry_line, _RESULTS / "bench"),
        "images": (images_table, _RESULTS / "images"),
        "lanes": (lanes_table, _RESULTS / "lanes"),
    }
    there = {name: maker for name, maker in makers.items() if _was_measured(name, maker[1])}
    write_tables({name: make(folder) for name, (make, folder) in there.items()})
    if "bench" in there:
        save_plots(bench_results(_RESULTS / "bench"), PLOTS)
    if "lanes" in there:
        save_plots(json.loads((_RESULTS / "lanes" / "results.json").read_text()), PLOTS)
    print(f"written: {', '.join(there) or 'nothing, because nothing was measured'}")


if __name__ == "__main__":
    main()
