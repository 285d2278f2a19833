"""Arrivals that do not wait for anybody: latency below the limit, and what becomes of work far beyond it."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.bench.asks import invoke
from tests.bench.cores import CpuMeter
from tests.bench.load import Load, Outcome, run_load
from tests.bench.throughput import SERVICE_PARTS, Sample

Say = Callable[[str], None]

HALF, MOST, OVERLOAD = 0.5, 0.8, 5.0
_CONNECTIONS = 512
_OVERLOAD_CONNECTIONS = 4096
_MOST_REPEATS = 100
_OVERLOAD_TAIL_SECONDS = 300
_PROBE_CONNECTIONS = 64


@dataclass(frozen=True)
class OpenPoint:
    """One rate; each request is timed from when it was due, however late it could be sent."""

    share: float
    """Of the most that was answered a second."""
    offered_per_second: float
    admitted_per_second: float
    """Answered of those that were due in the measured part, whenever the answer came."""
    p50_ms: float
    p90_ms: float
    p99_ms: float
    most_ms: float
    asked: int
    refused: int
    """Answered 429 or 503, of those that were due in the measured part."""
    untold_refusals: int
    """Of them and of their repetitions, without Retry-After."""
    retry_after_seconds: list[float]
    """Least, mean, most."""
    repeats: int
    obeyed: int
    """Succeeded after they were refused and came again when told."""
    obeyed_at_once: int
    """Of them, with the first repetition."""
    given_up: int
    """Never succeeded: repeated too often, or still to be repeated at the end."""
    service_cores: float
    foreign_cores: float
    failed: int
    wrong: int
    first_problem: str

    def __str__(self) -> str:
        refused = f", {self.refused} refused, {self.obeyed} of them later answered" * bool(self.refused)
        return (
            f"{self.share:g} x the most: {self.offered_per_second:.0f}/s offered, "
            f"{self.admitted_per_second:.0f}/s admitted, p50 {self.p50_ms:.1f}, p99 "
            f"{self.p99_ms:.1f} ms{refused}"
        )


def most_per_second(port: int, meter: CpuMeter, samples: Sequence[Sample], seconds: float) -> float:
    """Of the throughput if it was measured in this run, else by a short closed loop."""
    rates: dict[str, list[float]] = {}
    for sample in samples:
        if sample.system == "ours" and sample.point.startswith("c="):
            rates.setdefault(sample.point, []).append(sample.requests_per_second)
    if rates:
        return max(statistics.median(found) for found in rates.values())
    return run_load(Load(port, invoke(), _PROBE_CONNECTIONS, 2, seconds), meter)[0].per_second


def measure_share(port: int, meter: CpuMeter, share: float, most: float, seconds: float) -> OpenPoint:
    load = Load(port, invoke(), _CONNECTIONS, 1, seconds, per_second=share * most)
    return _measure(load, share, meter)


def measure_overload(port: int, meter: CpuMeter, most: float, seconds: float) -> OpenPoint:
    """A burst; whoever is refused comes again when told, so long as it takes."""
    load = Load(
        port,
        invoke(),
        _OVERLOAD_CONNECTIONS,
        0,
        seconds,
        per_second=OVERLOAD * most,
        most_repeats=_MOST_REPEATS,
        tail_seconds=_OVERLOAD_TAIL_SECONDS,
    )
    return _measure(load, OVERLOAD, meter)


def _measure(load: Load, share: float, meter: CpuMeter) -> OpenPoint:
    outcome, use = run_load(load, meter)
    return _point(share, load.per_second or 0, outcome, sum(map(use.cores, SERVICE_PARTS)), use.foreign_cores)


def _point(share: float, offered: float, outcome: Outcome, cores: float, foreign_cores: float) -> OpenPoint:
    return OpenPoint(
        share=share,
        offered_per_second=offered,
        admitted_per_second=outcome.per_second,
        p50_ms=outcome.p50_ms,
        p90_ms=outcome.p90_ms,
        p99_ms=outcome.p99_ms,
        most_ms=outcome.most_ms,
        asked=outcome.asked,
        refused=outcome.refused,
        untold_refusals=outcome.untold_refusals,
        retry_after_seconds=outcome.retry_after_seconds,
        repeats=outcome.repeats,
        obeyed=outcome.obeyed,
        obeyed_at_once=outcome.obeyed_at_once,
        given_up=outcome.gave_up + outcome.unasked,
        service_cores=cores,
        foreign_cores=foreign_cores,
        failed=outcome.failed,
        wrong=outcome.wrong,
        first_problem=outcome.first_problem,
    )
