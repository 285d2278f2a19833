"""One answer on its way to whoever follows it. The provider's next token never waits for a follower."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from loguru import logger
from pydantic_core import to_json

from shared.ports import Run, StoreUnavailable, StreamWriter

_BATCH_SECONDS = 0.025
_MOST_BYTES = 16 * 1_048_576

Chunk = dict[str, Any]


class AnswerStream:
    """Gathers chunks for 25 ms, those until the first word for no time, and writes them in one step.

    Once something could not be written, nothing more is: the stored result has it all, and a stream with
    a hole would be worse than one that ends.
    """

    def __init__(self, writer: StreamWriter, run: Run) -> None:
        self._writer = writer
        self._run = run
        self._pending: list[Chunk] = []
        self._written = 0
        self._written_bytes = 0
        self._has_chunks = False
        self._has_words = False
        self._is_whole = True
        self._flushing: asyncio.Task[None] | None = None

    def add(self, chunk: Chunk) -> None:
        """The provider's next chunk, which is this stream's from now on."""
        self._has_chunks = True
        self._has_words = self._has_words or _says_something(chunk)
        if not self._pending or not _merge(self._pending[-1], chunk):
            self._append(chunk)

    def retrying(self, attempt: int, *, is_first_here: bool) -> None:
        """A new attempt begins: what this or an earlier run has written counts no more."""
        self._append({"retrying": {"attempt": attempt, "reset": self._has_chunks or is_first_here}})
        self._has_chunks = False

    async def close(self) -> None:
        """Return when all of it can be read."""
        if self._flushing is not None:
            await self._flushing
        await self._flush()

    def _append(self, chunk: Chunk) -> None:
        if not self._is_whole:
            return
        self._pending.append(chunk)
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush_while_it_comes())

    async def _flush_while_it_comes(self) -> None:
        while self._pending:
            had_words = self._has_words
            await self._flush()
            if had_words:
                await asyncio.sleep(_BATCH_SECONDS)

    async def _flush(self) -> None:
        pieces = [to_json(chunk) for chunk in self._pending]
        self._pending.clear()
        self._written_bytes += sum(map(len, pieces))
        if not pieces or not self._is_whole:
            return
        try:
            self._is_whole = self._written_bytes <= _MOST_BYTES and await self._writer.append(
                self._run, self._written + 1, pieces
            )
            self._written += len(pieces)
        except StoreUnavailable as fault:
            self._is_whole = False
            logger.bind(**self._run.id._asdict(), fault=str(fault)).warning("stream_ends_early")


@asynccontextmanager
async def answer_stream(writer: StreamWriter, run: Run) -> AsyncIterator[AnswerStream]:
    """A stream that is whole, as far as it can be, when the block ends."""
    stream = AnswerStream(writer, run)
    try:
        yield stream
    finally:
        await stream.close()


def _says_something(chunk: Chunk) -> bool:
    """A provider begins with a role, and thinks before the first word."""
    deltas = [choice.get("delta") or {} for choice in chunk.get("choices") or ()]
    return any(value for delta in deltas for name, value in delta.items() if name != "role")


def _merge(last: Chunk, new: Chunk) -> bool:
    """Two pieces of plain text are one, as a provider with longer tokens would have sent it."""
    text, more = _plain_text(last), _plain_text(new)
    if text is None or more is None or last["choices"][0].get("index") != new["choices"][0].get("index"):
        return False
    choice = last["choices"][0]
    last["choices"] = [{**choice, "delta": {**choice["delta"], "content": text + more}}]
    return True


def _plain_text(chunk: Chunk) -> str | None:
    choices = chunk.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or chunk.get("usage"):
        return None
    choice = choices[0]
    delta = choice.get("delta") or {}
    if choice.get("finish_reason") is not None or choice.get("logprobs") or set(delta) != {"content"}:
        return None
    content = choice["delta"]["content"]
    return content if isinstance(content, str) else None
