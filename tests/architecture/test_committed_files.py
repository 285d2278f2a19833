"""What no committed file may hold."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Written in two parts, so that this file does not find itself.
REGISTRY_HOSTS = re.compile(
    "|".join(["pypi" + r"\.org", "pythonhosted" + r"\.org", "repo1?" + r"\.maven", "npmjs" + r"\.(org|com)"])
)
INDEX_LINES = re.compile("--(extra-)?" + "index-url|--find" + "-links")
MACHINE_PATHS = re.compile(r"(?<![\w.])/(work|root|home/\w+|Users/\w+)" + "/")


def _tracked_text_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file() and path.suffix not in {".png", ".svg"}]


@pytest.mark.parametrize(
    "forbidden", [REGISTRY_HOSTS, INDEX_LINES, MACHINE_PATHS], ids=["host", "index", "path"]
)
def test_no_committed_file_names_a_registry_or_a_machine(forbidden: re.Pattern[str]) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in _tracked_text_files()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if forbidden.search(line)
    ]
    assert found == []


def test_there_is_something_to_look_at() -> None:
    assert len(_tracked_text_files()) > 50
