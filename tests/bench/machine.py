"""On what it was measured."""

import platform
from pathlib import Path

import psutil

from tests.bench.cores import CORES


def machine() -> str:
    return f"{CORES} cores of {_cpu_model()}, {_memory_gib()} GiB"


def python() -> str:
    return f"{platform.python_implementation()} {platform.python_version()}"


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _memory_gib() -> int:
    return round(psutil.virtual_memory().total / (1 << 30))
