"""Limits over all processes while Redis answers, and what is left of them while it does not."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime

from shared.adapters.memory_limiter import MemoryLimiter
from shared.domain.job import JobId
from shared.domain.limits import Demand, Limits, Spent, Standing
from shared.limits import Limiter
from shared.ports import StoreUnavailable

_NOTHING_KNOWN = Standing(0, 0, 0, 0, 0, 0.0, 0.0, 0.0)


class FallbackLimiter:
    """`Limiter` over two. A hold that was taken in memory is settled there.

    `memory` None: nobody is refused while Redis is away. So it is in a worker, which cannot tell then which
    jobs a gateway has admitted.
    """

    def __init__(
        self, durable: Limiter, memory: MemoryLimiter | None, is_available: Callable[[], Awaitable[bool]]
    ) -> None:
        self._durable = durable
        self._memory = memory
        self._is_available = is_available

    async def take(
        self, job_id: JobId, limits: Limits, demand: Demand, expires_at: datetime
    ) -> tuple[bool, Standing]:
        if not self._is_held_here(job_id) and await self._is_available():
            with suppress(StoreUnavailable):  # the result store says so
                return await self._durable.take(job_id, limits, demand, expires_at)
        if self._memory is None:
            return True, _NOTHING_KNOWN
        return await self._memory.take(job_id, limits, demand, expires_at)

    async def settle(self, job_id: JobId, spent: Spent) -> None:
        await self._end(job_id, lambda limiter: limiter.settle(job_id, spent))

    async def give_back(self, job_id: JobId) -> None:
        await self._end(job_id, lambda limiter: limiter.give_back(job_id))

    async def _end(self, job_id: JobId, end: Callable[[Limiter], Awaitable[None]]) -> None:
        """A hold that cannot be reached ends with its time."""
        if self._memory is not None and self._is_held_here(job_id):
            await end(self._memory)
        elif await self._is_available():
            with suppress(StoreUnavailable):
                await end(self._durable)

    def _is_held_here(self, job_id: JobId) -> bool:
        return self._memory is not None and self._memory.holds(job_id)
