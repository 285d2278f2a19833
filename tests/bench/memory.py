"""Resident memory of gateway and worker over very many requests."""

from dataclasses import dataclass

import psutil

from tests.bench.asks import invoke
from tests.bench.load import Load, running_load
from tests.bench.servers import Service
from tests.bench.throughput import Say

_MIB = 1 << 20
_CONNECTIONS = 64
_WHOLE_DAY_SECONDS = 86_400
_SAMPLES = 100
_SETTLED_SHARE = 0.1


@dataclass(frozen=True)
class Memory:
    """Sampled a hundred times; `answered[i]` requests in, the parts had `rss_mib[part][i]`."""

    requests: int
    answered: list[int]
    rss_mib: dict[str, list[float]]
    seconds: float
    failed: int
    wrong: int
    first_problem: str

    def early_mib(self, part: str) -> float:
        """After a tenth of the requests: caches are warm by then."""
        settled = next((i for i, n in enumerate(self.answered) if n >= self.requests * _SETTLED_SHARE), 0)
        return self.rss_mib[part][settled]

    def last_mib(self, part: str) -> float:
        return self.rss_mib[part][-1]

    def growth(self, part: str) -> float:
        """From a tenth of the requests to all of them; 0.05 is 5 %."""
        return self.last_mib(part) / self.early_mib(part) - 1


def measure_memory(service: Service, requests: int, say: Say) -> Memory:
    parts = {"gateway": service.gateway.pid, "worker": service.workers[0].pid}
    processes = {part: psutil.Process(pid) for part, pid in parts.items()}
    answered: list[int] = []
    rss_mib: dict[str, list[float]] = {part: [] for part in processes}
    every = max(1, requests // _SAMPLES)
    load = Load(
        *(service.port, invoke(), _CONNECTIONS, 0, _WHOLE_DAY_SECONDS),
        most_requests=requests,
        said_every=every,
    )
    with running_load(load) as running:
        running.wait_until_measuring()
        for count in running.answered():
            answered.append(count)
            for part, process in processes.items():
                rss_mib[part].append(process.memory_info().rss / _MIB)
            if len(answered) % 10 == 0:
                told = ", ".join(f"{part} {values[-1]:.1f} MiB" for part, values in rss_mib.items())
                say(f"{count} of {requests} requests: {told}")
        outcome = running.outcome()
    return Memory(
        requests,
        answered,
        rss_mib,
        outcome.seconds,
        outcome.failed + outcome.refused,
        outcome.wrong,
        outcome.first_problem,
    )
