"""The figures as a Markdown table and as JSON."""

import platform
import statistics
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import orjson
import psutil

from tests.bench.cores import CAN_PIN, CORES
from tests.bench.first_token import FirstToken
from tests.bench.in_flight import InFlight
from tests.bench.telemetry import Telemetry, telemetry_lines
from tests.bench.throughput import PARTS, Sample


@dataclass
class Report:
    """Everything one run of the bench found out."""

    command: str
    brokers: str
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    machine: str = field(default_factory=lambda: f"{CORES} cores of {_cpu_model()}, {_memory_gib()} GiB")
    python: str = field(
        default_factory=lambda: f"{platform.python_implementation()} {platform.python_version()}"
    )
    system: str = field(default_factory=platform.platform)
    placement: str = (
        "gateway and worker share core 0; broker, Redis, provider and load have the rest"
        if CAN_PIN
        else "NOT pinned: this machine cannot bind a process to a core, so req/s are of all its cores"
    )
    throughput: list[Sample] = field(default_factory=list)
    in_flight: InFlight | None = None
    first_token: FirstToken | None = None
    telemetry: Telemetry | None = None

    @property
    def problem(self) -> str:
        """The first wrong or missing answer; empty if there was none."""
        parts: list[Sample | InFlight | FirstToken] = [*self.throughput]
        parts += [part for part in (self.in_flight, self.first_token) if part is not None]
        bad = (part for part in parts if part.failed or part.wrong)
        return next((part.first_problem or "failed" for part in bad), "")

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "results.md").write_text(self.markdown())
        (folder / "results.json").write_bytes(orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2))

    def markdown(self) -> str:
        facts = {
            "Command": f"`{self.command}`, {self.at}",
            "Machine": f"{self.machine}; {self.python}; {self.system}",
            "Brokers": self.brokers,
            "Placement": self.placement,
        }
        lines = ["# Bench", "", *(f"- {name}: {fact}" for name, fact in facts.items())]
        if self.throughput:
            lines += ["", *_throughput_lines(self.throughput)]
        if self.in_flight:
            lines += ["", *_in_flight_lines(self.in_flight)]
        if self.first_token:
            lines += ["", *_first_token_lines(self.first_token)]
        if self.telemetry:
            lines += ["", *telemetry_lines(self.telemetry)]
        return "\n".join([*lines, "", f"Wrong or failed answers: {self.problem or 'none'}", ""])


def _throughput_lines(samples: list[Sample]) -> list[str]:
    points = list(dict.fromkeys(sample.point for sample in samples))
    rounds = len(samples) // len(points)
    columns = [
        *("Point", "req/s", "lowest-highest", "p50 ms", "p99 ms"),
        *(f"{part} CPU us" for part in PARTS),
        *("load cores", "provider cores", "foreign cores", "load side busy", "calibration ms", "remarks"),
    ]
    return [
        f"## Throughput, one core, provider at 0 ms: median of {rounds} rounds, CPU a request",
        "",
        _row(columns),
        _row(["---"] + ["---:"] * (len(columns) - 1)),
        *(_row(_point_cells(point, [s for s in samples if s.point == point])) for point in points),
        "",
        "`replay` asks the same request ids again, as many at once as the line above. Disturbed: others "
        "used more than 0.3 core. Load side: broker, Redis, provider and load. Calibration: CPU of a "
        "fixed Python loop on the service's core just before.",
    ]


def _point_cells(point: str, samples: list[Sample]) -> list[str]:
    rates = [sample.requests_per_second for sample in samples]
    return [
        point,
        f"{statistics.median(rates):.0f}",
        f"{min(rates):.0f}-{max(rates):.0f}",
        _median([sample.p50_ms for sample in samples], 1),
        _median([sample.p99_ms for sample in samples], 1),
        *(_median([sample.cpu_us[part] for sample in samples], 0) for part in PARTS),
        _median([sample.load_cores for sample in samples], 2),
        _median([sample.provider_cores for sample in samples], 2),
        _median([sample.foreign_cores for sample in samples], 2),
        f"{statistics.median(sample.surroundings_share for sample in samples):.0%}",
        _median([sample.calibration_ms for sample in samples], 1),
        _remarks(samples),
    ]


def _remarks(samples: list[Sample]) -> str:
    counts = {
        "disturbed": sum(sample.is_disturbed for sample in samples),
        "limited by the load side": sum(sample.is_limited for sample in samples),
    }
    found = [f"{name} in {count} of {len(samples)}" for name, count in counts.items() if count]
    return ", ".join(found) or "none"


def _in_flight_lines(found: InFlight) -> list[str]:
    offer = found.offer
    rows = {
        "Offered": f"{offer.per_second}/s for {offer.seconds:.0f} s: {found.jobs} jobs",
        "Calls in flight at the provider, most": f"{found.peak_in_flight}; WORKER_CONCURRENCY={offer.slots}",
        "Queue delay (`queue_ms`) p50 / p99": f"{found.queue_ms_p50:.1f} / {found.queue_ms_p99:.1f} ms",
        "Offered to arrival p50 / p99": f"{found.arrival_ms_p50:.1f} / {found.arrival_ms_p99:.1f} ms",
        "Worker RSS when steady, first / last": f"{found.rss_mib[0]:.0f} / {found.rss_mib[-1]:.0f} MiB",
        "Its growth over the last half": f"{found.rss_growth:+.1%}",
        "Calls made more than once": f"{found.repeated_calls}",
        "CPU gateway / worker / foreign": " / ".join(f"{cores:.2f}" for cores in found.cores.values())
        + " cores",
    }
    return [
        f"## In flight: calls of {offer.call_seconds:g} s on one worker, not pinned; steady part of "
        f"{offer.steady_seconds:g} s (wanted: p99 below 100 ms, growth below 5 %)",
        "",
        _row(["", ""]),
        _row(["---", "---:"]),
        *(_row([name, value]) for name, value in rows.items()),
    ]


def _first_token_lines(found: FirstToken) -> list[str]:
    rows = {
        "From the provider itself, p50": found.direct_ms_p50,
        "Through the service, p50": found.through_ms_p50,
        "Through the service, p99": found.through_ms_p99,
        "Added, p50": found.added_ms_p50,
    }
    return [
        f"## First word of a stream: {found.streams} streams each way, one at a time, not pinned (wanted: "
        "at most 10 ms added at p50)",
        "",
        _row(["", "ms"]),
        _row(["---", "---:"]),
        *(_row([name, f"{ms:.1f}"]) for name, ms in rows.items()),
    ]


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _median(values: list[float] | list[float | None], digits: int) -> str:
    known = [value for value in values if value is not None]
    return f"{statistics.median(known):.{digits}f}" if known else "?"


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _memory_gib() -> int:
    return round(psutil.virtual_memory().total / (1 << 30))
