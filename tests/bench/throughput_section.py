"""What the throughput points show, as lines of Markdown."""

from tests.bench.markdown_table import median, spread, table
from tests.bench.throughput import OURS, PARTS, Sample

_COLUMNS = (
    *("Point", "req/s", "spread", "p50 ms", "p99 ms"),
    *(f"{part} CPU us" for part in PARTS),
    "1e6 / (gateway + worker CPU us)",
    *("service cores", "load cores", "provider cores", "foreign cores", "load side busy", "calibration ms"),
    "remarks",
)
_LEGEND = (
    "`hit` asks 64 equal questions under new ids, `replay` 64 ids again; `chat` is `/v1/chat/completions`. "
    "*req/s* is measured, with gateway and worker on one core; *1e6 / CPU us* is derived: what one core "
    "would do if nothing around it were slower. Spread: highest less lowest round, of the median. Disturbed: "
    "others used more than 0.3 core. Load side: broker, Redis, provider and load; where it was over 90 % "
    "busy the measured figure is its limit, not ours. Calibration: CPU of a fixed Python loop on the "
    "service's core just before."
)


def throughput_lines(samples: list[Sample]) -> list[str]:
    ours = [sample for sample in samples if sample.system == OURS]
    points = list(dict.fromkeys(sample.point for sample in ours))
    rounds = len(ours) // len(points)
    rows = [_cells(point, [sample for sample in ours if sample.point == point]) for point in points]
    title = f"## Throughput, one core, provider at 0 ms: median of {rounds} rounds, CPU a request"
    return [title, "", *table(_COLUMNS, rows), "", _LEGEND]


def _cells(point: str, samples: list[Sample]) -> list[str]:
    rates = [sample.requests_per_second for sample in samples]
    return [
        point,
        median(rates, 0),
        f"{spread(rates):.0%}",
        median((sample.p50_ms for sample in samples), 2),
        median((sample.p99_ms for sample in samples), 1),
        *(median((sample.cpu_us.get(part) for sample in samples), 0) for part in PARTS),
        median((sample.derived_per_second for sample in samples), 0),
        median((sample.service_cores for sample in samples), 2),
        median((sample.load_cores for sample in samples), 2),
        median((sample.provider_cores for sample in samples), 2),
        median((sample.foreign_cores for sample in samples), 2),
        f"{median((sample.surroundings_share * 100 for sample in samples), 0)}%",
        median((sample.calibration_ms for sample in samples), 1),
        remarks(samples),
    ]


def remarks(samples: list[Sample]) -> str:
    counts = {
        "disturbed": sum(sample.is_disturbed for sample in samples),
        "limited by the load side": sum(sample.is_limited for sample in samples),
    }
    found = [f"{name} in {count} of {len(samples)}" for name, count in counts.items() if count]
    return ", ".join(found) or "none"
