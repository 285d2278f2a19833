"""The last release, as its files were: unpacked from this repository's history."""

import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

from tests.support.availability import Unavailable

ROOT = Path(__file__).parents[2]
NAME_FILE = ROOT / "RELEASED"


def released_name() -> str:
    """A tag or a commit: what `RELEASED` holds."""
    return NAME_FILE.read_text().strip()


def unpack_release(folder: Path, repository: Path = ROOT) -> Path:
    """Its tree, in `folder`."""
    archive = subprocess.run(
        ["git", "archive", "--format=tar", released_name()], cwd=repository, capture_output=True, check=False
    )
    if archive.returncode:
        raise Unavailable(
            f"the last release ({released_name()}, from RELEASED) is not in this clone's history: "
            f"{archive.stderr.decode().strip()}; git fetch --unshallow --tags brings it"
        )
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder
