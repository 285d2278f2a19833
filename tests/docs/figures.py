"""The measured figures of README.md and docs/: what the last `make chaos` and `make bench` left in `.cache`.

`make figures` writes them. Each point of the bench shows its middle round.
"""

import json
from pathlib import Path
from typing import Any

from tests.docs.pages import ROOT
from tests.docs.tables import write_tables

_RESULTS = ROOT / ".cache"
BENCH_COLUMNS = ["At once", "req/s", "p50 ms", "p99 ms", "CPU µs gateway", "CPU µs worker"]


def chaos_table(folder: Path = _RESULTS / "chaos") -> str:
    """The table as the campaigns printed it, and the line that says on what."""
    table, surroundings, *_ = (folder / "results.md").read_text().split("\n\n")
    return f"{table}\n\n{surroundings}"


def bench_table(folder: Path = _RESULTS / "bench") -> str:
    """Throughput and calls in flight, in a few columns."""
    results: dict[str, Any] = json.loads((folder / "results.json").read_text())
    rows = [_row(BENCH_COLUMNS), _row(["---"] * len(BENCH_COLUMNS))]
    points = dict.fromkeys(sample["point"] for sample in results["throughput"])
    rows += [_point(point, [s for s in results["throughput"] if s["point"] == point]) for point in points]
    measured = (
        f"{results['machine']}, {results['python']}, {results['brokers']}; {results['at']}; `make bench`"
    )
    return "\n".join(rows) + f"\n\n{measured}\n\n{_in_flight(results['in_flight'])}"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _point(point: str, samples: list[dict[str, Any]]) -> str:
    middle = sorted(samples, key=lambda sample: float(sample["requests_per_second"]))[len(samples) // 2]
    cpu = middle["cpu_us"]
    return _row(
        [
            point,
            f"{middle['requests_per_second']:.0f}",
            f"{middle['p50_ms']:.1f}",
            f"{middle['p99_ms']:.1f}",
            f"{cpu['gateway']:.0f}",
            f"{cpu['worker']:.0f}" if cpu.get("worker", 0) > 10 else "-",  # it was idle
        ]
    )


def _in_flight(found: dict[str, Any]) -> str:
    return (
        f"{found['peak_in_flight']} calls of 10 s in flight on one worker: queue delay p50 "
        f"{found['queue_ms_p50']:.1f} ms, p99 {found['queue_ms_p99']:.1f} ms; its memory grew by "
        f"{found['rss_growth']:.1%} over the second half of the steady phase."
    )


if __name__ == "__main__":
    flood = chaos_table(_RESULTS / "chaos" / "flood")
    write_tables({"chaos": chaos_table(), "flood": flood, "bench": bench_table()})
