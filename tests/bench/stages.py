"""Where the CPU of a request goes: a sampling profiler's shares of what the processes took without it."""

import re
import subprocess
import sysconfig
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tests.bench.asks import invoke
from tests.bench.cores import CpuMeter
from tests.bench.load import Load, running_load
from tests.bench.servers import Service
from tests.bench.stage_names import Frame, StageOf, innermost_python
from tests.bench.stage_table import COLLECTOR, EVENT_LOOP, OTHER, TABLES
from tests.bench.throughput import SERVICE_PARTS, sample_of
from tests.support.availability import Unavailable

Say = Callable[[str], None]

CONNECTIONS = 64
_PER_SECOND = 100
_FRAME = re.compile(r"(.*) \((.*?)(?::\d+)?\)")
_IDLE = ("_worker", "thread.py")
"""A thread of a pool that waits for work; the profiler takes some of them for busy."""
_WAITING = {"epoll_wait", "epoll_pwait", "kevent"}
"""Woken, but not given the core yet: the other process of the service has it."""
_COLLECTING = "gc_collect"
_LAST = (COLLECTOR, EVENT_LOOP, OTHER)
_PROFILER = Path(sysconfig.get_path("scripts")) / "py-spy"


@dataclass(frozen=True)
class StageBudget:
    """CPU microseconds a request, by process and stage; the stages of a process add up to its CPU."""

    requests_per_second: float
    us: dict[str, dict[str, float]]
    around_us: dict[str, float]
    """Broker and Redis, where they are ours."""
    samples: dict[str, int]
    """A share of 10 % of 1,000 samples is right within 2 %, at 95 % confidence."""
    failed: int
    wrong: int
    first_problem: str

    @property
    def total_us(self) -> float:
        return sum(sum(stages.values()) for stages in self.us.values())


def measure_stages(
    service: Service, meter: CpuMeter, seconds: float, warm_up_seconds: float, say: Say
) -> StageBudget:
    """Once without the profiler, for the CPU; once with it, for the shares."""
    load = Load(service.port, invoke(), CONNECTIONS, warm_up_seconds, seconds)
    sample = sample_of(f"c={CONNECTIONS}", load, meter, SERVICE_PARTS)
    say(f"without the profiler: {sample}")
    shares = _profiled(service, replace(load, ask=invoke()), seconds)  # the same again would be replays
    say(
        "with the profiler: "
        + ", ".join(f"{sum(found.values())} of {part}" for part, found in shares.items())
    )
    return StageBudget(
        requests_per_second=sample.requests_per_second,
        us={part: spread_over(found, sample.cpu_us[part] or 0) for part, found in shares.items()},
        around_us={part: us for part, us in sample.cpu_us.items() if us and part not in shares},
        samples={part: sum(found.values()) for part, found in shares.items()},
        failed=sample.failed,
        wrong=sample.wrong,
        first_problem=sample.first_problem,
    )


def spread_over(samples: Mapping[str, int], cpu_us: float) -> dict[str, float]:
    """The CPU in proportion to the samples; dearest stage first, what is nobody's last."""
    total = sum(samples.values()) or 1
    ordered = sorted(samples, key=lambda stage: (stage in _LAST and _LAST.index(stage) + 1, -samples[stage]))
    return {stage: cpu_us * samples[stage] / total for stage in ordered}


def count_stages(collapsed: str, stage_of: StageOf) -> Counter[str]:
    """From the profiler's collapsed stacks: `frame;frame;frame samples` a line."""
    counts: Counter[str] = Counter()
    for line in collapsed.splitlines():
        stack, _, samples = line.rpartition(" ")
        frames = list(_frames(stack))
        if frames and not _is_idle(frames):
            counts[COLLECTOR if _collects(frames) else stage_of(frames)] += int(samples)
    return counts


def _frames(stack: str) -> Iterator[Frame]:
    for frame in stack.split(";"):
        matched = _FRAME.fullmatch(frame)
        if matched:
            yield matched[2], matched[1]


def _is_idle(frames: list[Frame]) -> bool:
    python = innermost_python(frames)
    is_pool_thread = python is not None and (python[1], Path(python[0]).name) == _IDLE
    return is_pool_thread or frames[-1][1] in _WAITING


def _collects(frames: list[Frame]) -> bool:
    return any(function.startswith(_COLLECTING) for _, function in frames)


def _profiled(service: Service, load: Load, seconds: float) -> dict[str, Counter[str]]:
    stages = {part: StageOf(TABLES[part]) for part in service.pids}
    with tempfile.TemporaryDirectory() as folder, running_load(load) as running:
        running.wait_until_measuring()
        files = {part: Path(folder) / part for part in service.pids}
        profilers = [_start_profiler(service.pids[part][0], file, seconds) for part, file in files.items()]
        for profiler in profilers:
            _wait_for(profiler)
        return {part: count_stages(file.read_text(), stages[part]) for part, file in files.items()}


def _start_profiler(pid: int, file: Path, seconds: float) -> "subprocess.Popen[bytes]":
    if not _PROFILER.exists():
        raise Unavailable("py-spy is not installed")
    options = ["--native", "--format", "raw", "--full-filenames", "--rate", f"{_PER_SECOND}"]
    command = [str(_PROFILER), "record", *options, "--duration", f"{max(1, round(seconds))}"]
    return subprocess.Popen(
        [*command, "--output", str(file), "--pid", f"{pid}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def _wait_for(profiler: "subprocess.Popen[bytes]") -> None:
    """Some machines let nobody look into a process."""
    _, complaint = profiler.communicate()
    if profiler.returncode:
        words = complaint.decode(errors="replace").strip().splitlines()
        raise Unavailable(f"py-spy cannot look into the processes: {words[-1] if words else 'no reason'}")
