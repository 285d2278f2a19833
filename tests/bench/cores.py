"""Which core a process runs on, what CPU it took, and how fast and how busy the machine is meanwhile."""

import os
import statistics
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

CORES = psutil.cpu_count() or 1
CAN_PIN = sys.platform == "linux" and CORES > 1
SERVICE_CORES = {0}
OTHER_CORES = set(range(1, CORES))
ALL_CORES = set(range(CORES))

_CALIBRATION_STEPS = 200_000
_CALIBRATIONS = 5


def pin(pids: Iterable[int], cores: set[int]) -> None:
    """Binds every thread of the processes, and so those to come; does nothing where that is impossible."""
    if sys.platform == "linux" and CAN_PIN:
        for pid in pids:
            for thread in Path(f"/proc/{pid}/task").iterdir():
                with suppress(ProcessLookupError):  # it ended meanwhile
                    os.sched_setaffinity(int(thread.name), cores)


def calibrate() -> float:
    """CPU milliseconds of a fixed loop on the service's core: how fast the machine is now."""
    pin([os.getpid()], SERVICE_CORES)
    try:
        return loop_ms()
    finally:
        pin([os.getpid()], OTHER_CORES)


def loop_ms() -> float:
    """The same wherever this process may run."""
    return statistics.median(_loop_ms() for _ in range(_CALIBRATIONS))


def _loop_ms() -> float:
    started_at = time.process_time()
    total = 0
    for number in range(_CALIBRATION_STEPS):
        total += number & 7
    return (time.process_time() - started_at) * 1000


@dataclass(frozen=True)
class CpuUse:
    """Between two readings."""

    wall_seconds: float
    seconds: dict[str, float]
    """CPU of each part of the bench that runs here."""
    foreign_cores: float
    """Cores that processes of others kept busy, or the host took away."""

    def cores(self, part: str) -> float:
        return self.seconds.get(part, 0.0) / self.wall_seconds


class CpuMeter:
    """CPU of named parts, each one or more processes; the bench itself is the part `load`."""

    def __init__(self, parts: Mapping[str, Iterable[int]]) -> None:
        everyone = {**parts, "load": [os.getpid()]}
        known = {name: [psutil.Process(pid) for pid in pids] for name, pids in everyone.items()}
        self._parts = {name: processes for name, processes in known.items() if processes}
        self._start = self._read()

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(self._parts)

    @contextmanager
    def including(self, part: str, pid: int) -> Iterator[None]:
        """One more process while the block runs; `restart` inside it."""
        process = psutil.Process(pid)
        self._parts[part].append(process)
        try:
            yield
        finally:
            self._parts[part].remove(process)

    def restart(self) -> None:
        self._start = self._read()

    def use(self) -> CpuUse:
        """Since the start."""
        (then, seconds_then, busy_then), (now, seconds, busy) = self._start, self._read()
        used = {name: seconds[name] - seconds_then[name] for name in seconds}
        foreign_seconds = max(0.0, busy - busy_then - sum(used.values()))
        return CpuUse(now - then, used, foreign_seconds / (now - then))

    def _read(self) -> tuple[float, dict[str, float], float]:
        seconds = {name: sum(map(_seconds, part)) for name, part in self._parts.items()}
        return time.monotonic(), seconds, _busy_seconds()


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _busy_seconds() -> float:
    """Of the whole machine. Interrupts are left out: the kernel counts those in the process they hit."""
    times = psutil.cpu_times()
    return float(times.user + times.system + getattr(times, "nice", 0) + getattr(times, "steal", 0))
