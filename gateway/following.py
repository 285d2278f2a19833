"""An answer followed while it is written, from any position, until its job ends."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from gateway.caller import Caller
from gateway.event_stream import PING, PING_SECONDS
from gateway.service import Answered
from gateway.waits import Waits
from shared.domain.job import JobId
from shared.domain.result import Failed, Succeeded
from shared.ports import Deleted, Finished, JobClaims, Piece, ResultWatch, StoreUnavailable, StreamReader

_LOOK_SECONDS = 1.0
"""What wakes a follower may get lost; what it looks for is stored."""


@dataclass(frozen=True, slots=True)
class Ended:
    """There is nothing more to tell here: the job goes on, and can be followed elsewhere."""


@dataclass(frozen=True, slots=True)
class Quiet:
    """Nothing has come for a while."""


News = Sequence[Piece] | Answered | Ended
Told = News | Quiet
Tell = Callable[[Succeeded | Failed], None]


class AnswerFollower:
    """Follows answers for callers, at the pace of each."""

    def __init__(self, store: JobClaims, streams: StreamReader, waits: Waits) -> None:
        self._store = store
        self._streams = streams
        self._waits = waits

    async def follow(
        self, job_id: JobId, after: int, caller: Caller, tell: Tell | None = None
    ) -> AsyncGenerator[Told]:
        """The pieces after that position and at last the result, or `Ended`.

        `tell` hears of a result when it comes, however slowly the caller reads.
        """
        with self._store.watch(job_id) as watch, self._streams.follow(job_id) as news:
            if tell is not None:
                watch.when_known(tell)
            known = await self._store.get(job_id)  # whoever stores or writes knows of us from now on
            result = known.result if isinstance(known, Finished) else None
            while True:
                news.clear()
                pieces = await self._read(job_id, after)
                if pieces:
                    after = pieces[-1].position
                    yield pieces
                elif result is not None:
                    yield Answered(result)
                    return
                elif isinstance(known, Deleted) or not self._waits.has_room or caller.has_left:
                    yield Ended()
                    return
                else:
                    result = await self._waits.hold(lambda: _next(watch, news), _LOOK_SECONDS, caller)
                    if result is None and not news.is_set():
                        yield Quiet()

    async def _read(self, job_id: JobId, after: int) -> Sequence[Piece]:
        try:
            return await self._streams.read(job_id, after)
        except StoreUnavailable:
            return ()  # the result comes another way, and has it all


async def begun(followed: AsyncGenerator[Told]) -> tuple[Told, AsyncGenerator[Told]]:
    """What says how it goes, waited for as long as somebody would wait without a word, and all of it."""
    before: list[Told] = []
    quiet_seconds = 0
    async for told in followed:
        before.append(told)
        quiet_seconds += isinstance(told, Quiet)
        if isinstance(told, Answered | Ended):
            await followed.aclose()
        if _is_telling(told) or quiet_seconds == PING_SECONDS:
            return told, _again(before, followed)
    raise RuntimeError("what is followed has no end")


def _is_telling(told: Told) -> bool:
    """A new attempt may still fail as the last one did."""
    if isinstance(told, Answered | Ended | Quiet):
        return not isinstance(told, Quiet)
    return not all(piece.is_retry for piece in told)


async def as_events(followed: AsyncGenerator[Told], write: Callable[[News], bytes]) -> AsyncGenerator[bytes]:
    """What `write` makes of it, and a ping for who hears nothing for a while."""
    quiet_seconds = 0
    async with aclosing(followed):
        async for told in followed:
            if isinstance(told, Quiet):
                quiet_seconds += 1
                if quiet_seconds % PING_SECONDS == 0:
                    yield PING
                continue
            quiet_seconds = 0
            if written := write(told):
                yield written


async def _again(before: Sequence[Told], others: AsyncGenerator[Told]) -> AsyncGenerator[Told]:
    for told in before:
        yield told
    async with aclosing(others):
        async for told in others:
            yield told


async def _next(watch: ResultWatch, news: asyncio.Event) -> Succeeded | Failed | None:
    """The result, if it is there before news are."""
    waits = [asyncio.ensure_future(watch.result()), asyncio.ensure_future(news.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        result = waits[0]
        return result.result() if result.done() else None  # type: ignore[return-value] # the first of the two
    finally:
        for wait in waits:
            wait.cancel()
