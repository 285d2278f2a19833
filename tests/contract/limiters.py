"""Every limiter that this product has, as several processes see it, and its time."""

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from shared.adapters.memory_limiter import MemoryLimiter
from shared.adapters.redis_connections import batches_over, connect_redis
from shared.adapters.redis_limiter import RedisLimiter
from shared.limits import Limiter
from tests.contract.result_stores import AheadClock
from tests.support.raw_redis import raw_client

_MOVE_BACK = """
for _, key in ipairs(KEYS) do
  assert(redis.call('PTTL', key) ~= -1, key .. ' would stay for ever')
  local ends = redis.call('ZRANGEBYSCORE', key, '(0', '+inf', 'WITHSCORES')
  for i = 1, #ends, 2 do redis.call('ZADD', key, string.format('%.0f', ends[i + 1] - ARGV[1]), ends[i]) end
end
"""


@dataclass(frozen=True)
class Limiters:
    """One limiter over several connections."""

    processes: Sequence[Limiter]
    seconds: Callable[[], float]
    pass_seconds: Callable[[float, str], Coroutine[Any, Any, None]]
    """Everything that is known of this owner gets so much older."""

    @property
    def one(self) -> Limiter:
        return self.processes[0]


@asynccontextmanager
async def memory_limiters() -> AsyncIterator[Limiters]:
    clock = AheadClock()
    limiter = MemoryLimiter(clock)

    async def pass_seconds(seconds: float, _: str) -> None:
        clock.ahead_seconds += seconds

    yield Limiters([limiter], clock, pass_seconds)


@asynccontextmanager
async def redis_limiters(url: str, processes: int = 3) -> AsyncIterator[Limiters]:
    """Redis has no clock to set: the instants that it keeps of an owner are moved back instead."""
    clock = AheadClock()
    async with AsyncExitStack() as stack:
        limiters = [await stack.enter_async_context(_redis_limiter(url)) for _ in range(processes)]
        client = await stack.enter_async_context(raw_client(url))

        async def pass_seconds(seconds: float, owner: str) -> None:
            await client.eval(_MOVE_BACK, 1, f"llm:limits:{owner}", round(seconds * 1000))

        yield Limiters(limiters, clock, pass_seconds)


@asynccontextmanager
async def _redis_limiter(url: str) -> AsyncIterator[Limiter]:
    async with connect_redis(url, max_connections=4, timeout_seconds=2) as (client, _):
        batches = batches_over(client)
        try:
            yield RedisLimiter(batches)
        finally:
            await batches.aclose()
