"""The last release out of the history, and what is said where there is none."""

import subprocess
from pathlib import Path

import pytest

from tests.support.availability import Unavailable
from tests.support.released_tree import ROOT, released_name, unpack_release


def test_a_clone_without_history_says_so(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    command = ["git", "clone", "--quiet", "--depth", "1", ROOT.as_uri(), str(clone)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    with pytest.raises(Unavailable, match=rf"{released_name()}.*git fetch --unshallow"):
        unpack_release(tmp_path / "release", clone)


def test_no_repository_at_all_says_so_too(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="not in this clone's history"):
        unpack_release(tmp_path / "release", tmp_path)
