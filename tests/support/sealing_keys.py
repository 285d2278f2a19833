"""The files of sealing keys, made by the product's own command."""

import subprocess
import sys
from pathlib import Path

import orjson

from tests.support.service_processes import ROOT, clean_environment


class KeyFiles:
    """A private and a public file in `folder`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.private = folder / "private.json"
        self.public = folder / "public.json"

    def run(self, command: str, *more: str, code: int = 0) -> str:
        """`python -m worker.keys`; what it said."""
        files = ["--private", str(self.private), "--public", str(self.public)]
        done = subprocess.run(
            [sys.executable, "-m", "worker.keys", command, *files, *more],
            cwd=ROOT,
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done
        return done.stdout + done.stderr

    def secret(self) -> str:
        """The private part of the current key."""
        part: str = orjson.loads(self.private.read_bytes())["keys"][0]["d"]
        return part

    def path_of(self, wrong: str) -> Path:
        """A file that cannot be used, in this way."""
        match wrong:
            case "missing":
                return self.private.with_name("nowhere.json")
            case "world-readable":
                self.private.chmod(0o644)
            case "nonsense":
                self.private.write_text("[]")
            case "public":
                self.public.chmod(0o600)
        return self.public if wrong == "public" else self.private
