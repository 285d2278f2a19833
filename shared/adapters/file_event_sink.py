"""Facts as JSON lines in a file: where Kafka is disabled or away."""

import time
from pathlib import Path
from typing import BinaryIO

import orjson
from loguru import logger

from shared.domain.events import Event

_REOPEN_SECONDS = 1.0


class FileEventSink:
    """`EventSink` that appends to a file. A disk that is full or read-only costs the facts, never a job.

    A file of `max_bytes` becomes `<name>.1`, and takes the place of the one before it.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._is_broken = False
        self._file: BinaryIO | None = None
        self._open_until = 0.0

    def emit(self, event: Event) -> None:
        self.write(encode_event(event))

    def write(self, line: bytes) -> None:
        try:
            file = self._opened()
            file.write(line + b"\n")
            if file.tell() >= self._max_bytes:
                self._path.replace(f"{self._path}.1")
                self.close()
        except OSError as fault:
            self.close()
            if not self._is_broken:
                logger.error("event_file_unwritable", path=str(self._path), fault=str(fault))
            self._is_broken = True
        else:
            self._is_broken = False

    def _opened(self) -> BinaryIO:
        """Anew once a second: somebody may have moved the file away."""
        now = time.monotonic()
        if self._file is None or now > self._open_until:
            self.close()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab", buffering=0)
            self._open_until = now + _REOPEN_SECONDS
        return self._file

    def close(self) -> None:
        """Until the next fact."""
        if self._file is not None:
            self._file.close()
            self._file = None


def encode_event(event: Event) -> bytes:
    """One JSON object; times in RFC 3339 UTC."""
    return orjson.dumps(event)
