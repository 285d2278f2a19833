"""From the command to the line that says ready."""

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.servers import ROOT, Brokers, own_folder, service_environment
from tests.support.processes import free_port, start, wait_for_line

_READY_SECONDS = 60

_ONE_PROCESS = "one process"
_READY_LINES = {"gateway": "gateway_ready", "worker": "partitions_assigned", _ONE_PROCESS: "gateway_ready"}


@dataclass(frozen=True)
class StartTimes:
    """Seconds, each start by itself; the worker's to its first partition."""

    seconds: dict[str, list[float]]

    def median(self, part: str) -> float:
        return statistics.median(self.seconds[part])


def measure_starts(brokers: Brokers, provider_url: str, times: int, say: Callable[[str], None]) -> StartTimes:
    """One start more than is counted: the first may compile, and create topics."""
    seconds: dict[str, list[float]] = {}
    for part in _READY_LINES:
        with own_folder() as folder:
            environment = _environment(part, brokers, provider_url, folder)
            taken = [_start_once(part, environment, folder) for _ in range(times + 1)]
        seconds[part] = taken[1:]
        say(f"{part} ready after {statistics.median(taken[1:]):.2f} s")
    return StartTimes(seconds)


def _environment(part: str, brokers: Brokers, provider_url: str, folder: Path) -> dict[str, str]:
    environment = service_environment(brokers, provider_url, free_port(), folder)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # it would compile every time
    if part == _ONE_PROCESS:
        environment |= {"KAFKA_ENABLED": "false", "REDIS_ENABLED": "false"}
    return environment | {"PYTHONPATH": f"{ROOT}"}


def _start_once(part: str, environment: dict[str, str], folder: Path) -> float:
    words = [sys.executable, f"{ROOT / 'main.py'}"] if part == _ONE_PROCESS else [sys.executable, "-m", part]
    started_at = time.perf_counter()
    with start(words, log_path=folder / "start.log", env=environment, cwd=folder) as child:
        wait_for_line(child, _READY_LINES[part], _READY_SECONDS)
        return time.perf_counter() - started_at
