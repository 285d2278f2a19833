"""Equal calls share an answer: one job leads and makes the call, the others wait for it in the queue."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

from loguru import logger

from shared.domain.caching import CachePolicy, is_complete, must_be_cached, shared_answer, shared_failure
from shared.domain.job import Job
from shared.domain.result import Failed, Succeeded
from shared.ports import Following, Hit, Leading, ResponseCache, Run, StoreUnavailable

_SHORTEST_LOOK_SECONDS = 0.1
_LONGEST_LOOK_SECONDS = 1.0


Tell = Callable[[Succeeded | Failed | None], Awaitable[None]]


class Share:
    """What one run has of others' calls, and they of its."""

    def __init__(
        self,
        answer: Succeeded | Failed | None = None,
        *,
        look_again_seconds: float | None = None,
        tell: Tell | None = None,
    ) -> None:
        self.answer = answer
        """Stands for a call."""
        self.look_again_seconds = look_again_seconds
        """Somebody else makes the call; None: it is this run's turn."""
        self._tell = tell

    async def ended(self, end: Succeeded | Failed | None) -> None:
        """How this run's call ended; None: it made none. What comes first counts."""
        if self._tell is not None:
            tell, self._tell = self._tell, None
            await tell(end)


class CallSharing:
    """The rules of the cache over its store; while that is away, every job makes its own call."""

    def __init__(self, cache: ResponseCache, policy: CachePolicy) -> None:
        self._cache = cache
        self._policy = policy

    @asynccontextmanager
    async def share(self, run: Run, job: Job) -> AsyncIterator[Share]:
        """What there is before the run begins; what the run tells of its call is for the others."""
        if not self._policy.covers(job):
            yield Share()
            return
        entered = await self._enter(run, job)
        match entered:
            case Hit(result):
                yield Share(_own(result, job))
            case Following():
                yield Share(look_again_seconds=_patience_seconds(job))
            case _:
                share = Share(tell=partial(self._tell, run, job, isinstance(entered, Leading)))
                try:
                    yield share
                finally:
                    await share.ended(None)

    async def _enter(self, run: Run, job: Job) -> Hit | Leading | Following | None:
        """None: nobody waits for this one, and it waits for nobody."""
        if not self._policy.reads(job):
            return None
        try:
            if must_be_cached(job):
                known = await self._cache.find(job.id.owner, job.fingerprint)
                return Hit(known) if known is not None else None
            return await self._cache.enter(run, job.created_at)
        except StoreUnavailable as fault:
            logger.bind(**run.id._asdict(), fault=str(fault)).warning("response_cache_unavailable")
            return None

    async def _tell(self, run: Run, job: Job, is_leading: bool, end: Succeeded | Failed | None) -> None:
        try:
            await asyncio.gather(*self._steps(run, job, end, is_leading=is_leading))  # in one round trip
        except StoreUnavailable as fault:
            logger.bind(**run.id._asdict(), fault=str(fault)).warning("response_cache_unavailable")

    def _steps(
        self, run: Run, job: Job, end: Succeeded | Failed | None, *, is_leading: bool
    ) -> Iterator[Awaitable[None]]:
        if isinstance(end, Succeeded) and is_complete(end):
            yield self._cache.keep(run, end, self._policy.ttl_of(job))
        if is_leading:
            yield self._cache.leave(run, end if end is not None and _is_for_others(end) else None)


def _own(result: Succeeded | Failed, job: Job) -> Succeeded | Failed:
    return shared_answer(result, job) if isinstance(result, Succeeded) else shared_failure(result, job)


def _is_for_others(end: Succeeded | Failed) -> bool:
    """That one job was cancelled or came too late is nobody else's end."""
    return end.status in ("succeeded", "failed")


def _patience_seconds(job: Job) -> float:
    """The longer a job has waited, the less it minds: a tenth of a second at first, then up to one."""
    waited_seconds = (datetime.now(UTC) - job.created_at).total_seconds()
    return min(max(waited_seconds / 2, _SHORTEST_LOOK_SECONDS), _LONGEST_LOOK_SECONDS)
