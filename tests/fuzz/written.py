"""What the processes wrote: their logs, and the facts that they kept in files."""

import re
from pathlib import Path

from tests.fuzz.json_texts import MARK
from tests.fuzz.report import Findings

_CRASH = re.compile(r'"event":"\w*crashed"')


def search_written(folder: Path, findings: Findings) -> None:
    """No key and no crash in any file of `folder`."""
    for path in folder.iterdir():
        for line in path.read_text(errors="replace").splitlines():
            if MARK in line:
                findings.add(f"{path.name} holds a key", line[:600])
            if _CRASH.search(line):
                findings.add(f"{path.name} tells of a crash", line[-900:])
