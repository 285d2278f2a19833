"""Ours beside the peers, as lines of Markdown."""

import statistics
from collections.abc import Iterable, Mapping

from tests.bench.markdown_table import median, spread, table
from tests.bench.throughput import OURS, Sample
from tests.bench.throughput_section import remarks

_COLUMNS = (
    *("System", "Point", "req/s", "spread", "p50 ms", "p99 ms", "CPU us"),
    *("1e6 / CPU us", "ours : theirs, req/s", "ours : theirs, by CPU", "foreign cores", "remarks"),
)
_LEGEND = (
    "In one run, round after round: each system alone on the same core, the others stopped, with the same "
    "provider and the same load. CPU is of all its own processes, ours of gateway and worker. Ratios are "
    "medians of the ratios within a round. We are asked `/invoke` with all promises on, peers "
    "`/v1/chat/completions`."
)


def peers_lines(samples: list[Sample], versions: Mapping[str, str]) -> list[str]:
    systems = [OURS, *versions]
    points = list(dict.fromkeys(sample.point for sample in samples if sample.system != OURS))
    rows = [
        _cells(system, point, _of(samples, system, point), _of(samples, OURS, point))
        for point in points
        for system in systems
    ]
    told = "; ".join(f"{name}: {version}" for name, version in versions.items())
    return ["## Beside the peers", "", *table(_COLUMNS, rows), "", f"{told}.", "", _LEGEND]


def ratios(ours: Iterable[float | None], theirs: Iterable[float | None]) -> list[float]:
    """Round by round, where both are known."""
    pairs = zip(ours, theirs, strict=False)
    return [mine / other for mine, other in pairs if mine and other]


def _of(samples: list[Sample], system: str, point: str) -> list[Sample]:
    return [sample for sample in samples if (sample.system, sample.point) == (system, point)]


def _cells(system: str, point: str, theirs: list[Sample], ours: list[Sample]) -> list[str]:
    rates = [sample.requests_per_second for sample in theirs]
    derived = [sample.derived_per_second for sample in theirs]
    cpu_us = [1e6 / each if each else None for each in derived]
    by_rate = ratios((sample.requests_per_second for sample in ours), rates)
    by_cpu = ratios((sample.derived_per_second for sample in ours), derived)
    return [
        system,
        point,
        median(rates, 0),
        f"{spread(rates):.0%}",
        median((sample.p50_ms for sample in theirs), 2),
        median((sample.p99_ms for sample in theirs), 1),
        median(cpu_us, 0),
        median(derived, 0),
        *("" if system == OURS else _times(found) for found in (by_rate, by_cpu)),
        median((sample.foreign_cores for sample in theirs), 2),
        remarks(theirs),
    ]


def _times(found: list[float]) -> str:
    return f"{statistics.median(found):.1f}" if found else "?"
