"""Requests a second through gateway, Kafka, worker and Redis, and the CPU that each of them takes."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.asks import Ask, cache_hits, chat_completions, invoke, replays
from tests.bench.cores import OTHER_CORES, CpuMeter, CpuUse, calibrate
from tests.bench.load import Load, Outcome, run_load

OURS = "ours"
_DISTURBED_CORES = 0.3
_FULL_SHARE = 0.9
SERVICE_PARTS = ("gateway", "worker")
PARTS = (*SERVICE_PARTS, "broker", "redis")
_SURROUNDINGS = ("broker", "redis", "provider", "load")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Point:
    """What is asked, by how many at once."""

    name: str
    ask: Callable[[], Ask]
    connections: int


POINTS = (
    *(Point(f"c={connections}", invoke, connections) for connections in (1, 16, 64, 256)),
    *(Point(f"chat c={connections}", chat_completions, connections) for connections in (1, 64)),
    *(Point(f"hit c={connections}", cache_hits, connections) for connections in (1, 64)),
    *(Point(f"replay c={connections}", replays, connections) for connections in (1, 64)),
)


def points_called(names: str) -> tuple[Point, ...]:
    """Comma separated; `ValueError` for a name that is not known."""
    known = {point.name: point for point in POINTS}
    try:
        return tuple(known[name.strip()] for name in names.split(","))
    except KeyError as unknown:
        raise ValueError(f"{unknown} is not a point; there are: {', '.join(known)}") from None


@dataclass(frozen=True)
class Plan:
    """How long and how often."""

    points: tuple[Point, ...] = POINTS
    rounds: int = 3
    warm_up_seconds: float = 1.5
    seconds: float = 5

    def peer_points(self) -> tuple[Point, ...]:
        """Peers have no ids and no `/invoke`: the plain points alone."""
        return tuple(point for point in self.points if point.ask is invoke)


@dataclass(frozen=True)
class Sample:
    """One point of one round."""

    point: str
    requests_per_second: float
    derived_per_second: float | None
    """What the CPU a request would allow on one core: a derived figure, not a measured one."""
    p50_ms: float
    p99_ms: float
    cpu_us: dict[str, float | None]
    """A request, by part; None for a part whose processes are not ours."""
    service_cores: float
    """How much of its core the service kept busy."""
    load_cores: float
    provider_cores: float
    calibration_ms: float
    foreign_cores: float
    surroundings_share: float
    """How much of their own cores broker, Redis, provider and load kept busy."""
    failed: int
    wrong: int
    first_problem: str
    system: str = OURS

    @property
    def is_disturbed(self) -> bool:
        return self.foreign_cores > _DISTURBED_CORES

    @property
    def is_limited(self) -> bool:
        """The service may not have been the slowest part."""
        return self.surroundings_share > _FULL_SHARE

    def __str__(self) -> str:
        """A line of progress."""
        cpu = ", ".join(f"{part} {us:.0f}" for part, us in self.cpu_us.items() if us is not None)
        marks = " DISTURBED" * self.is_disturbed + " LIMITED BY THE LOAD SIDE" * self.is_limited
        marks += f" {self.failed} failed" * bool(self.failed) + f" {self.wrong} wrong" * bool(self.wrong)
        return (
            f"{self.system} {self.point:<12}{self.requests_per_second:6.0f}/s, {self.p50_ms:.2f} / "
            f"{self.p99_ms:.1f} ms, CPU us {cpu}; load side {self.surroundings_share:.0%}, "
            f"foreign {self.foreign_cores:.2f}{marks}"
        )


def measure_throughput(port: int, meter: CpuMeter, plan: Plan, number: int, say: Say) -> list[Sample]:
    """Every point once; round after round, so that a change of the machine's speed meets them all."""
    samples = []
    for point in plan.points:
        load = Load(port, point.ask(), point.connections, plan.warm_up_seconds, plan.seconds)
        samples.append(sample_of(point.name, load, meter, SERVICE_PARTS))
        say(f"round {number}: {samples[-1]}")
    return samples


def sample_of(
    point: str, load: Load, meter: CpuMeter, service_parts: tuple[str, ...], system: str = OURS
) -> Sample:
    calibration_ms = calibrate()
    outcome, use = run_load(load, meter)
    shown = (*service_parts, "broker", "redis")
    cpu_us = {part: _each_us(use, part, outcome) for part in meter.parts if part in shown}
    service_us = sum(cpu_us.get(part) or 0 for part in service_parts)
    return Sample(
        point=point,
        requests_per_second=outcome.per_second,
        derived_per_second=1e6 / service_us if service_us and outcome.answers else None,
        p50_ms=outcome.p50_ms,
        p99_ms=outcome.p99_ms,
        cpu_us=cpu_us,
        service_cores=sum(map(use.cores, service_parts)),
        load_cores=use.cores("load"),
        provider_cores=use.cores("provider"),
        calibration_ms=calibration_ms,
        foreign_cores=use.foreign_cores,
        surroundings_share=sum(map(use.cores, _SURROUNDINGS)) / max(1, len(OTHER_CORES)),
        failed=outcome.failed + outcome.refused,
        wrong=outcome.wrong,
        first_problem=outcome.first_problem,
        system=system,
    )


def _each_us(use: CpuUse, part: str, outcome: Outcome) -> float | None:
    return use.seconds[part] / max(1, outcome.answers) * 1e6 if part in use.seconds else None


def percentile(values: list[float], percent: int) -> float:
    """0 of nothing."""
    if len(values) < 2:
        return values[0] if values else 0.0
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
