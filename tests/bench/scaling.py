"""One, two, four workers before a provider that takes a second: does twice as many do twice as much?"""

from dataclasses import dataclass

from tests.bench.asks import invoke
from tests.bench.cores import CORES, CpuMeter
from tests.bench.load import Load, run_load
from tests.bench.servers import Brokers, Service

WORKERS = (1, 2, 4)
CALL_SECONDS = 1.0
_CALLERS_PER_SLOT = 2
_FULL_SHARE = 0.9
_CALLS_TO_WARM_UP = 4


@dataclass(frozen=True)
class Scaled:
    """So many workers with so many slots each; not pinned, all cores are theirs."""

    workers: int
    slots: int
    """`WORKER_CONCURRENCY`: what one worker can do is slots divided by the second that a call takes."""
    requests_per_second: float
    p50_ms: float
    busy_cores: float
    """Of the machine, with everything that ran on it."""
    cores: dict[str, float]
    failed: int
    wrong: int
    first_problem: str

    @property
    def possible_per_second(self) -> float:
        return self.workers * self.slots / CALL_SECONDS

    @property
    def is_machine_full(self) -> bool:
        return self.busy_cores > _FULL_SHARE * CORES

    def __str__(self) -> str:
        full = ", the cores are full" * self.is_machine_full
        return (
            f"{self.workers} workers of {self.slots} slots: {self.requests_per_second:.0f} of "
            f"{self.possible_per_second:.0f}/s, {self.busy_cores:.2f} of {CORES} cores busy{full}"
        )


def efficiency(scaled: Scaled, one: Scaled) -> float:
    """1.0: n workers do n times as much as one."""
    ideal = one.requests_per_second * scaled.workers
    return scaled.requests_per_second / ideal if ideal else 0.0


def measure_scaled(
    service: Service, brokers: Brokers, provider_pid: int, slots: int, seconds: float
) -> Scaled:
    workers = len(service.workers)
    meter = CpuMeter({**service.pids, **brokers.pids, "provider": [provider_pid]})
    callers = workers * slots * _CALLERS_PER_SLOT
    warm_up_seconds = _CALLS_TO_WARM_UP * CALL_SECONDS
    outcome, use = run_load(Load(service.port, invoke(), callers, warm_up_seconds, seconds), meter)
    cores = {part: use.cores(part) for part in use.seconds}
    return Scaled(
        workers=workers,
        slots=slots,
        requests_per_second=outcome.per_second,
        p50_ms=outcome.p50_ms,
        busy_cores=sum(cores.values()) + use.foreign_cores,
        cores=cores | {"foreign": use.foreign_cores},
        failed=outcome.failed + outcome.refused,
        wrong=outcome.wrong,
        first_problem=outcome.first_problem,
    )
