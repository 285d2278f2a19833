"""`python -m worker.find`, run as a program."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tests.support.service_processes import clean_environment


@dataclass(frozen=True)
class Found:
    """What it printed."""

    code: int
    out: str
    err: str

    @property
    def story(self) -> dict[str, Any]:
        told: dict[str, Any] = orjson.loads(self.out)
        return told

    @property
    def whats(self) -> list[str]:
        return [entry["what"] for entry in self.story["entries"]]

    def only(self, what: str) -> dict[str, Any]:
        [entry] = [entry for entry in self.story["entries"] if entry["what"] == what]
        return dict(entry)


def find(folder: Path, settings: Mapping[str, str], *arguments: str) -> Found:
    """In a folder of its own, so that no `.env` is read."""
    done = subprocess.run(
        [sys.executable, "-m", "worker.find", *arguments],
        cwd=folder,
        env=clean_environment(**settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return Found(done.returncode, done.stdout, done.stderr)
