"""This run against an earlier one: ratios, and whether they are more than noise.

`python -m tests.bench.compare OLD.json NEW.json`, or `--compare OLD.json` of the bench itself.
"""

import statistics
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from tests.bench.markdown_table import spread, table

Results = Mapping[str, Any]
Samples = list[Mapping[str, Any]]

_COLUMNS = ("System", "Point", "req/s", "was", "ratio", "noise", "CPU us", "was", "ratio", "noise", "verdict")


def compared_lines(old: Results, new: Results) -> list[str]:
    lines = [
        f"## Against the run of {old['at']} on {old['machine']}",
        "",
        "Ratio: new over old, of the medians. Noise: the wider spread of the rounds of either run; of one "
        "round nobody knows it. A ratio within the noise says nothing.",
        "",
        *table(_COLUMNS, _rows(old["throughput"], new["throughput"])),
    ]
    if old.get("stages") and new.get("stages"):
        lines += ["", *table(("CPU us by stage", "new", "was", "ratio"), _stage_rows(old, new))]
    return lines


def verdict(ratio: float, noise: float | None) -> str:
    if noise is None:
        return "unknown: one round"
    if abs(ratio - 1) <= noise:
        return "within the noise"
    return "higher" if ratio > 1 else "lower"


def _rows(old: Samples, new: Samples) -> Iterable[list[str]]:
    before, after = _grouped(old), _grouped(new)
    for key in (key for key in after if key in before):
        rate, old_rate = _figures(after[key], _rate), _figures(before[key], _rate)
        cpu, old_cpu = _figures(after[key], _cpu_us), _figures(before[key], _cpu_us)
        rate_ratio, rate_noise = _ratio(rate, old_rate), _noise(rate, old_rate)
        cpu_ratio, cpu_noise = _ratio(cpu, old_cpu), _noise(cpu, old_cpu)
        verdicts = f"req/s {verdict(rate_ratio, rate_noise)}; CPU {verdict(cpu_ratio, cpu_noise)}"
        yield [
            *key,
            *(f"{statistics.median(rate):.0f}", f"{statistics.median(old_rate):.0f}"),
            *(f"{rate_ratio:.2f}", _shown(rate_noise)),
            *(f"{statistics.median(cpu):.0f}", f"{statistics.median(old_cpu):.0f}"),
            *(f"{cpu_ratio:.2f}", _shown(cpu_noise)),
            verdicts,
        ]


def _stage_rows(old: Results, new: Results) -> Iterable[list[str]]:
    for part, stages in new["stages"]["us"].items():
        known = old["stages"]["us"].get(part, {})
        for stage, us in stages.items():
            was = known.get(stage)
            ratio = f"{us / was:.2f}" if was else "?"
            yield [f"{part}: {stage}", f"{us:.0f}", f"{was:.0f}" if was is not None else "?", ratio]


def _grouped(samples: Samples) -> dict[tuple[str, str], Samples]:
    groups: dict[tuple[str, str], Samples] = {}
    for sample in samples:
        groups.setdefault((sample.get("system", "ours"), sample["point"]), []).append(sample)
    return groups


def _figures(samples: Samples, figure: Callable[[Mapping[str, Any]], float]) -> list[float]:
    return [figure(sample) for sample in samples]


def _rate(sample: Mapping[str, Any]) -> float:
    return float(sample["requests_per_second"])


def _cpu_us(sample: Mapping[str, Any]) -> float:
    """Of the system's own processes."""
    own = ("gateway", "worker", "peer")
    return float(sum(us for part, us in sample["cpu_us"].items() if part in own and us))


def _ratio(new: list[float], old: list[float]) -> float:
    before = statistics.median(old)
    return statistics.median(new) / before if before else 0.0


def _noise(new: list[float], old: list[float]) -> float | None:
    known = [spread(values) for values in (new, old) if len(values) > 1]
    return max(known) if known else None


def _shown(noise: float | None) -> str:
    return f"{noise:.0%}" if noise is not None else "?"


def main() -> None:
    old, new = (orjson.loads(Path(name).read_bytes()) for name in sys.argv[1:3])
    print("\n".join(compared_lines(old, new)))


if __name__ == "__main__":
    main()
