"""Stores whose time a test lets pass."""

import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis

from shared.adapters.memory_result_store import MemoryResultStore
from shared.domain.job import JobId
from shared.ports import ResultStore
from tests.contract.result_stores import RETENTION, AheadClock, redis_stores

_MOVE_BACK = """
for _, key in ipairs(KEYS) do
  local left, is_job = redis.call('PTTL', key), redis.call('TYPE', key).ok == 'hash'
  assert(left ~= -1, key .. ' would stay for ever')
  for _, name in ipairs(is_job and {'lse', 'wexp'} or {}) do
    local instant = redis.call('HGET', key, name)
    if instant then redis.call('HSET', key, name, string.format('%.0f', instant - ARGV[1])) end
  end
  if left ~= -2 then redis.call('PEXPIRE', key, left - ARGV[1]) end
end
"""


@dataclass(frozen=True)
class TimedStores:
    """Two connections to one store, and its clock."""

    stores: tuple[ResultStore, ResultStore]
    seconds: Callable[[], float]
    pass_seconds: Callable[[float, Iterable[JobId]], Coroutine[Any, Any, None]]
    """Everything that is known of these ids gets so much older."""

    def now(self) -> datetime:
        """In whole milliseconds, which is what stores keep."""
        return datetime.fromtimestamp(int(self.seconds() * 1000) / 1000, UTC)


@asynccontextmanager
async def timed_memory_store() -> AsyncIterator[TimedStores]:
    clock = AheadClock()
    store = MemoryResultStore(RETENTION, clock=clock)

    async def pass_seconds(seconds: float, _: Iterable[JobId]) -> None:
        clock.ahead_seconds += seconds

    yield TimedStores((store, store), clock, pass_seconds)


@asynccontextmanager
async def timed_redis_stores(url: str) -> AsyncIterator[TimedStores]:
    """Redis has no clock to set: the instants that it keeps of a job are moved back instead."""
    async with redis_stores(url) as stores, Redis.from_url(url) as client:

        async def pass_seconds(seconds: float, job_ids: Iterable[JobId]) -> None:
            names = [f"{job_id.owner}:{job_id.request_id}" for job_id in job_ids]
            keys = [f"llm:{kind}:{name}" for kind in ("job", "gone") for name in names]
            await client.eval(_MOVE_BACK, len(keys), *keys, int(seconds * 1000))

        yield TimedStores((stores.gateway, stores.worker), time.time, pass_seconds)
