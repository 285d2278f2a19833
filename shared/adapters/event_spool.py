"""Facts that wait on disk: lines in files, oldest first.

A process appends to a file of its own, which it locks. What a process that died has left is read first by the
next one that starts in the folder.
"""

import fcntl
import os
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from loguru import logger

from shared.telemetry.event_metrics import EVENTS_DROPPED, EVENTS_SPOOLED

_SUFFIX = ".events"


class EventSpool:
    """Not for two tasks at once. A full or broken disk costs the newest facts, which are counted and said."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._files: deque[_File] = deque(_left_behind(folder))
        self._own: _File | None = None
        self._is_refusing = False
        self._show()

    @property
    def is_empty(self) -> bool:
        return not self._files

    def append(self, lines: Sequence[bytes]) -> int:
        """How many were taken."""
        try:
            taken = self._append(lines)
        except OSError as fault:
            self._refuse(len(lines), str(fault))
            return 0
        if taken < len(lines):
            self._refuse(len(lines) - taken, f"the spool holds {self._max_bytes} bytes, as many as it may")
        else:
            self._is_refusing = False
        self._show()
        return taken

    def head(self, most: int) -> Sequence[bytes]:
        """The oldest lines."""
        while self._files:
            if lines := self._files[0].head(most):
                return lines
            self._end(self._files.popleft())
        return ()

    def drop_head(self, count: int) -> None:
        """The oldest lines are where they belong."""
        if not count:
            return
        self._files[0].skip(count)
        if self._files[0].is_read:
            self._end(self._files.popleft())
        self._show()

    def close(self) -> None:
        """What is left stays for the next process."""
        for file in self._files:
            file.close()

    def _append(self, lines: Sequence[bytes]) -> int:
        if self._own is None:
            self._own = _new_file(self._folder)
            self._files.append(self._own)
        room = self._max_bytes - sum(file.size_bytes for file in self._files)
        return self._own.append(list(_that_fit(lines, room)))

    def _end(self, file: "_File") -> None:
        if file is self._own:
            self._own = None
        file.remove()

    def _refuse(self, count: int, why: str) -> None:
        EVENTS_DROPPED.inc(count)
        if not self._is_refusing:
            logger.bind(folder=str(self._folder), fault=why).error("events_dropped")
        self._is_refusing = True

    def _show(self) -> None:
        EVENTS_SPOOLED.set(sum(file.unread for file in self._files))


class _File:
    """One locked file, read from its beginning and written at its end."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._read_to = 0
        self.size_bytes = _whole_lines(file)
        self.unread = _count(file)

    @property
    def is_read(self) -> bool:
        return self._read_to >= self.size_bytes

    def append(self, lines: Sequence[bytes]) -> int:
        data = b"".join(line + b"\n" for line in lines)
        self._file.seek(self.size_bytes)
        try:
            self._file.write(data)
            self._file.flush()
        except OSError:
            self._file.truncate(self.size_bytes)
            raise
        self.size_bytes += len(data)
        self.unread += len(lines)
        return len(lines)

    def head(self, most: int) -> list[bytes]:
        self._file.seek(self._read_to)
        return [line.rstrip(b"\n") for line in islice(self._file, most)]

    def skip(self, count: int) -> None:
        self._file.seek(self._read_to)
        self._read_to += sum(len(line) for line in islice(self._file, count))
        self.unread -= count

    def close(self) -> None:
        self._file.close()

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)
        self._file.close()


def _new_file(folder: Path) -> _File:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{uuid4().hex}{_SUFFIX}"
    file = _locked(path, "x+b")
    if file is None:
        raise OSError(f"{path} is locked by another process")
    return _File(path, file)


def _left_behind(folder: Path) -> Iterator[_File]:
    """Those that nobody has locked, the oldest first."""
    paths = sorted(folder.glob(f"*{_SUFFIX}"), key=lambda path: path.stat().st_mtime)
    for path in paths:
        file = _locked(path, "r+b")
        if file is not None:
            yield _File(path, file)


def _locked(path: Path, mode: str) -> BinaryIO | None:
    file: BinaryIO = path.open(mode)  # type: ignore[assignment] # a binary mode
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    if os.fstat(file.fileno()).st_nlink == 0:  # its process sent the rest meanwhile
        file.close()
        return None
    return file


def _whole_lines(file: BinaryIO) -> int:
    """Bytes up to the last line end; what a dying process wrote half is cut off, and counted as dropped."""
    data_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    whole = sum(len(line) for line in file if line.endswith(b"\n"))
    if whole < data_bytes:
        EVENTS_DROPPED.inc()
        file.truncate(whole)
    return whole


def _count(file: BinaryIO) -> int:
    file.seek(0)
    return sum(1 for _ in file)


def _that_fit(lines: Sequence[bytes], room_bytes: int) -> Iterator[bytes]:
    for line in lines:
        room_bytes -= len(line) + 1
        if room_bytes < 0:
            return
        yield line
