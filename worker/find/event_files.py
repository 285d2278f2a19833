"""Facts in files: where Kafka is disabled, and what still waits for it on this machine."""

from collections.abc import Iterator
from pathlib import Path

from worker.find.entry import Entry, from_event


def entries_in_files(log_file: Path, spool_folder: Path, request_id: str) -> list[Entry]:
    """Of the event file, the one before it, and the spool."""
    files = [Path(f"{log_file}.1"), log_file, *sorted(spool_folder.glob("*.events"))]
    return [entry for path in files if path.is_file() for entry in _in(path, request_id)]


def _in(path: Path, request_id: str) -> Iterator[Entry]:
    needle = f'"request_id":"{request_id}"'.encode()
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if needle in line and (entry := from_event(line, f"{path.name}:{number}")) is not None:
                yield entry
