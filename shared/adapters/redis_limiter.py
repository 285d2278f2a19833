"""Limits over all processes that share a Redis: one sorted set an owner, one Lua script a step.

The minute is a sliding window log ("Better Rate Limiting With Redis Sorted Sets", ClassDojo 2015), not GCRA,
which admits up to twice the limit within 60 s when a burst follows a pause.
"""

from datetime import datetime

from shared.adapters.redis_cluster_batches import AnyBatches
from shared.adapters.redis_script import RedisScript
from shared.domain.job import JobId
from shared.domain.limits import Demand, Limits, Spent, Standing


class RedisLimiter:
    """`Limiter` over one Redis."""

    def __init__(self, batches: AnyBatches) -> None:
        self._batches = batches
        self._take = RedisScript("limit_now", "limit_take")
        self._settle = RedisScript("limit_now", "limit_settle")

    async def take(
        self, job_id: JobId, limits: Limits, demand: Demand, expires_at: datetime
    ) -> tuple[bool, Standing]:
        arguments = [
            job_id.request_id,
            round(expires_at.timestamp() * 1000),
            demand.tokens,
            demand.nano_dollars,
            limits.requests_per_minute,
            limits.tokens_per_minute,
            limits.jobs_in_flight,
            limits.nano_dollars_per_day,
        ]
        is_admitted, *standing = await self._take.run(self._batches, [_key(job_id)], arguments)
        return bool(is_admitted), _standing([*map(int, standing)])

    async def settle(self, job_id: JobId, spent: Spent) -> None:
        known = ["" if amount is None else amount for amount in (spent.tokens, spent.nano_dollars)]
        await self._settle.run(self._batches, [_key(job_id)], [job_id.request_id, *known, "0"])

    async def give_back(self, job_id: JobId) -> None:
        await self._settle.run(self._batches, [_key(job_id)], [job_id.request_id, "", "", "1"])


def _standing(numbers: list[int]) -> Standing:
    requests, tokens, in_flight, dollars, spent, *waits_ms = numbers
    return Standing(requests, tokens, in_flight, dollars, spent, *(wait / 1000 for wait in waits_ms))


def _key(job_id: JobId) -> str:
    return f"llm:limits:{job_id.owner}"
