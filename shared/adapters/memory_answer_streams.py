"""Answers that are being written, in one process."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from shared.adapters.stream_followers import MOST_PIECES_AT_ONCE, STREAM_KEPT_SECONDS, StreamFollowers
from shared.domain.job import JobId
from shared.ports import Piece, Run

_MOST_BYTES = 268_435_456


@dataclass(slots=True)
class _Stream:
    token: str = ""
    last: int = 0
    """Number of the last piece within its run."""
    pieces: list[bytes] = field(default_factory=list)
    overtaken: set[str] = field(default_factory=set)
    """Runs that have lost the job to a later one."""
    size_bytes: int = 0
    ends_at: float = 0.0


class MemoryAnswerStreams:
    """`AnswerStreams` in a dict, what was written to last at its end; the first go when it is full."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, most_bytes: int = _MOST_BYTES) -> None:
        self._clock = clock
        self._most_bytes = most_bytes
        self._size_bytes = 0
        self._streams: dict[JobId, _Stream] = {}
        self._followers = StreamFollowers()

    async def append(self, run: Run, first: int, pieces: Sequence[bytes]) -> bool:
        self._forget_old()
        stream = self._streams.pop(run.id, None) or _Stream()
        self._streams[run.id] = stream
        if run.token in stream.overtaken:
            return False
        if stream.token != run.token:
            stream.overtaken.add(stream.token)
            stream.token, stream.last = run.token, 0
        new = pieces[max(0, stream.last + 1 - first) :]
        stream.pieces.extend(new)
        stream.last += len(new)
        added_bytes = sum(map(len, new))
        stream.size_bytes += added_bytes
        self._size_bytes += added_bytes
        stream.ends_at = self._clock() + STREAM_KEPT_SECONDS
        self._followers.wake(run.id)
        return True

    async def read(self, job_id: JobId, after: int) -> Sequence[Piece]:
        self._forget_old()
        stream = self._streams.get(job_id)
        if stream is None:
            return ()
        pieces = stream.pieces[after : after + MOST_PIECES_AT_ONCE]
        return [Piece(after + number, piece) for number, piece in enumerate(pieces, 1)]

    def follow(self, job_id: JobId) -> AbstractContextManager[asyncio.Event]:
        return self._followers.open(job_id)

    def _forget_old(self) -> None:
        now = self._clock()
        while self._streams:
            oldest = next(iter(self._streams))
            is_full = self._size_bytes > self._most_bytes and len(self._streams) > 1
            if self._streams[oldest].ends_at > now and not is_full:
                return
            self._size_bytes -= self._streams.pop(oldest).size_bytes
