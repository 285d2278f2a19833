"""Requests a second through gateway, Kafka, worker and Redis, and the CPU that each of them takes."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle

from tests.bench.closed_loop import ClosedLoop
from tests.bench.cores import OTHER_CORES, CpuMeter, CpuUse, calibrate
from tests.bench.questions import Question, Tally, new_question

REPLAY = "replay"
_REPLAYED_QUESTIONS = 64
_DISTURBED_CORES = 0.3
_FULL_SHARE = 0.9
PARTS = ("gateway", "worker", "broker", "redis")
_SURROUNDINGS = ("broker", "redis", "provider", "load")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """How long and how often."""

    connections: tuple[int, ...] = (1, 16, 64)
    has_replay: bool = True
    rounds: int = 3
    warm_up_seconds: float = 1.5
    seconds: float = 5


@dataclass(frozen=True)
class Sample:
    """One point of one round."""

    point: str
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: dict[str, float | None]
    """A request, by part; None for a part whose processes are not ours."""
    load_cores: float
    provider_cores: float
    calibration_ms: float
    foreign_cores: float
    surroundings_share: float
    """How much of their own cores broker, Redis, provider and load kept busy."""
    failed: int
    wrong: int
    first_problem: str

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
        marks += f" {self.failed} failed" * bool(self.failed)
        return (
            f"{self.point:<7}{self.requests_per_second:6.0f}/s, {self.p50_ms:.1f} / {self.p99_ms:.1f} ms, "
            f"CPU us {cpu}; foreign {self.foreign_cores:.2f}{marks}"
        )


async def measure_throughput(port: int, meter: CpuMeter, plan: Plan, say: Say) -> list[Sample]:
    """Every point, round after round, so that a change of the machine's speed meets all of them."""
    samples = []
    for number in range(1, plan.rounds + 1):
        for connections in plan.connections:
            samples.append(await _point(f"c={connections}", port, connections, meter, plan, new_question))
            say(f"round {number}: {samples[-1]}")
        if plan.has_replay:
            samples.append(await _replay(port, meter, plan))
            say(f"round {number}: {samples[-1]}")
    return samples


async def _replay(port: int, meter: CpuMeter, plan: Plan) -> Sample:
    """Questions that have their answers already, asked again under the same ids."""
    answered = [new_question() for _ in range(_REPLAYED_QUESTIONS)]
    again = cycle(answered)
    connections = plan.connections[-1]
    return await _point(REPLAY, port, connections, meter, plan, lambda: next(again))


async def _point(
    name: str, port: int, connections: int, meter: CpuMeter, plan: Plan, next_question: Callable[[], Question]
) -> Sample:
    calibration_ms = calibrate()
    loop = ClosedLoop(port, connections, next_question)
    tally, use = await loop.run(plan.warm_up_seconds, plan.seconds, meter)
    return _sample(name, tally, use, calibration_ms)


def _sample(name: str, tally: Tally, use: CpuUse, calibration_ms: float) -> Sample:
    answers = max(1, len(tally.latencies_ms))
    return Sample(
        point=name,
        requests_per_second=len(tally.latencies_ms) / use.wall_seconds,
        p50_ms=percentile(tally.latencies_ms, 50),
        p99_ms=percentile(tally.latencies_ms, 99),
        cpu_us={part: _each_us(use, part, answers) for part in PARTS},
        load_cores=use.cores("load"),
        provider_cores=use.cores("provider"),
        calibration_ms=calibration_ms,
        foreign_cores=use.foreign_cores,
        surroundings_share=sum(map(use.cores, _SURROUNDINGS)) / max(1, len(OTHER_CORES)),
        failed=tally.failed,
        wrong=tally.wrong,
        first_problem=tally.first_problem,
    )


def _each_us(use: CpuUse, part: str, answers: int) -> float | None:
    return use.seconds[part] / answers * 1e6 if part in use.seconds else None


def percentile(values: list[float], percent: int) -> float:
    """0 of nothing."""
    if len(values) < 2:
        return values[0] if values else 0.0
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
