"""Golden files: what others may have stored or sent already, so that a change of it is seen and decided.

After a change that is meant, write them anew and read the difference before you commit it:

    UPDATE_GOLDEN=1 .venv/bin/pytest tests/contract/test_wire.py

Where `CI=true` that fails: there the files are the judge.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("golden")


class GoldenFiles:
    """JSON files, laid out for people to compare."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._is_updating = environ.get("UPDATE_GOLDEN") == "1"
        if self._is_updating and environ.get("CI") == "true":
            raise AssertionError("UPDATE_GOLDEN=1 where CI=true: people write golden files, CI does not")

    def read(self, name: str) -> Any:
        return json.loads(self._path(name).read_text())

    def check(self, name: str, document: Any) -> None:
        """`document` is, letter by letter, what the file says; when updating, the file now says it."""
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        if self._is_updating:
            self._path(name).write_text(text)
        assert self._path(name).read_text() == text, f"{name}.json differs; see {Path(__file__).name}"

    def names(self) -> set[str]:
        return {path.stem for path in self._folder.iterdir()}

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"
