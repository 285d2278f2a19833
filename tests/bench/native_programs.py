"""The load and the provider as small C programs: they share a core with the broker and must cost little.

Compiled once with `cc` and kept in the cache. Without a compiler, or away from Linux, the same two programs
in Python take their place, which cost several times as much.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.kafka_distribution import cache_folder, make_once

_SOURCES = Path(__file__).with_name("native")
_OPTIONS = ("-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Wno-unused-function")

Command = tuple[str, ...]


def load_command() -> Command:
    return _command("load")


def provider_command() -> Command:
    return _command("provider")


def python_command(name: str) -> Command:
    return (sys.executable, "-m", f"tests.bench.python_{name}")


def language() -> str:
    return "C" if _compiler() else "Python: no C compiler (cc) on Linux, so the load side is dear"


def _command(name: str) -> Command:
    compiler = _compiler()
    if compiler is None:
        return python_command(name)
    program = cache_folder() / "bench" / f"{name}-{_fingerprint()}"
    make_once(program, lambda path: _compile(compiler, name, path))
    return (str(program),)


def _compiler() -> str | None:
    return shutil.which("cc") if sys.platform == "linux" else None


def _compile(compiler: str, name: str, program: Path) -> None:
    command = [compiler, *_OPTIONS, "-o", str(program), str(_SOURCES / f"{name}.c"), "-lm"]
    subprocess.run(command, check=True)


def _fingerprint() -> str:
    """A changed source is another program."""
    digest = hashlib.sha256(" ".join(_OPTIONS).encode())
    for source in sorted(_SOURCES.iterdir()):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]
