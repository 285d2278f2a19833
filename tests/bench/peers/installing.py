"""Peers are installed into the cache folder, each apart from the project and from the others."""

import subprocess
import sys
import venv
from pathlib import Path

from tests.support.availability import Unavailable
from tests.support.kafka_distribution import cache_folder, make_once

_INSTALL_SECONDS = 900


def environment_folder(name: str) -> Path:
    return cache_folder() / f"bench-{name}"


def environment_python(name: str) -> Path:
    return environment_folder(name) / "bin" / "python"


def install_environment(name: str, packages: tuple[str, ...]) -> None:
    """A virtual environment; `Unavailable` if pip cannot get the packages."""
    make_once(environment_folder(name), lambda folder: _fill(folder, packages))


def _fill(folder: Path, packages: tuple[str, ...]) -> None:
    venv.create(folder, with_pip=True)
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *packages]
    try:
        subprocess.run(command, check=True, timeout=_INSTALL_SECONDS, stdout=sys.stderr)
        # Else a peer that may not write would compile at every start.
        subprocess.run([command[0], "-m", "compileall", "-q", str(folder / "lib")], check=False)
    except (OSError, subprocess.SubprocessError) as fault:
        raise Unavailable(f"pip cannot install {', '.join(packages)}: {type(fault).__name__}") from fault
