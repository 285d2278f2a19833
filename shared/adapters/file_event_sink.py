"""Facts as JSON lines in a file: where Kafka is disabled or away."""

from pathlib import Path

import orjson
from loguru import logger

from shared.domain.events import Event


class FileEventSink:
    """`EventSink` that appends to a file. A disk that is full or read-only costs the facts, never a job.

    A file of `max_bytes` becomes `<name>.1`, and takes the place of the one before it.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._is_broken = False

    def emit(self, event: Event) -> None:
        self.write(encode_event(event))

    def write(self, line: bytes) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(line + b"\n")
                is_full = file.tell() >= self._max_bytes
            if is_full:
                self._path.replace(f"{self._path}.1")
        except OSError as fault:
            if not self._is_broken:
                logger.error("event_file_unwritable", path=str(self._path), fault=str(fault))
            self._is_broken = True
        else:
            self._is_broken = False


def encode_event(event: Event) -> bytes:
    """One JSON object; times in RFC 3339 UTC."""
    return orjson.dumps(event)
