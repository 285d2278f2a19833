"""What the Redis behind an address says of its data; kept there, so that it is lost with the data."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import RedisError

from shared.adapters.redis_cluster_batches import AnyBatches
from shared.fault_text import describe
from shared.ports import StoreUnavailable
from worker.ports import StoreCondition

_LOCK_SECONDS = 30
_ANSWER_SECONDS = 2.0

# Only on the data that the caller looked at: a store that came back empty since then is not whole.
_MARK_WHOLE = """
if redis.call('HGET', KEYS[1], 'data_id') ~= ARGV[1] then return 0 end
return redis.call('HSET', KEYS[1], 'whole_until', ARGV[2])
"""
_LET_GO = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end"


class RedisStoreCondition:
    """`ConditionKeeper` on Redis; over a cluster, every shard has a mark of its own."""

    def __init__(self, batches: AnyBatches, log: str) -> None:
        """`log`: the name of the log of results that the store is to hold."""
        self._batches = batches
        self._marks = batches.parts(f"llm:store:{log}")
        self._lock = f"llm:store:{log}:restoring"
        self._token = secrets.token_hex(8)

    async def read(self) -> StoreCondition:
        with _faults():
            async with asyncio.timeout(_ANSWER_SECONDS):
                call = self._batches.call
                await asyncio.gather(
                    *(call("HSETNX", mark, "data_id", secrets.token_hex(8)) for mark in self._marks)
                )
                told = await asyncio.gather(
                    *(call("HMGET", mark, "data_id", "whole_until") for mark in self._marks)
                )
                run_ids = await self._batches.run_ids()
        data_ids = " ".join(_text(data_id) for data_id, _ in told)
        whole_until = min(float(_text(until) or 0) for _, until in told)
        return StoreCondition(" ".join(run_ids), data_ids, whole_until)

    async def is_leading(self) -> bool:
        with _faults():
            call = self._batches.call
            if await call("SET", self._lock, self._token, "NX", "EX", _LOCK_SECONDS):
                return True
            if await call("GET", self._lock) != self._token.encode():
                return False
            return bool(await call("EXPIRE", self._lock, _LOCK_SECONDS))

    async def mark_whole(self, condition: StoreCondition, until: float) -> None:
        ids = zip(self._marks, condition.data_id.split(" "), strict=True)
        with _faults():
            await asyncio.gather(
                *(self._batches.call("EVAL", _MARK_WHOLE, 1, mark, id_, repr(until)) for mark, id_ in ids)
            )
            await self._batches.call("EVAL", _LET_GO, 1, self._lock, self._token)


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError, TimeoutError) as fault:
        raise StoreUnavailable(describe(fault)) from fault


def _text(stored: bytes | str | None) -> str:
    return stored.decode() if isinstance(stored, bytes) else stored or ""
