"""The walls of the house hold, and nothing happens at import."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for package in ("gateway", "worker", "shared")
    for path in (ROOT / package).rglob("*.py")
)

_IMPORT_WITHOUT_WORLD = """
import importlib, os, socket, sys
os.environ.clear()
def refuse(*args, **kwargs):
    raise AssertionError("a module opened a socket at import")
socket.socket.connect = socket.socket.connect_ex = refuse
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def test_import_contracts_hold() -> None:
    result = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("package", ["gateway", "worker", "shared", "main"])
def test_every_module_imports_with_an_empty_environment_and_no_network(package: str) -> None:
    names = [name for name in MODULES if name.split(".")[0] == package] or [package]
    result = subprocess.run(
        [sys.executable, "-c", _IMPORT_WITHOUT_WORLD, *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_the_gateway_loads_neither_langchain_nor_openai() -> None:
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, gateway.main; print({'openai', 'langchain_core', 'faststream'} & {*sys.modules})",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "set()"
