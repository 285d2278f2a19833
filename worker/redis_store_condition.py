"""What the Redis behind an address says of its data; kept there, so that it is lost with the data."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.ports import StoreUnavailable
from worker.ports import StoreCondition

_LOCK_SECONDS = 30
_ANSWER_SECONDS = 2.0

# Only on the data that the caller looked at: a store that came back empty since then is not whole.
_MARK_WHOLE = """
if redis.call('HGET', KEYS[1], 'data_id') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'whole_until', ARGV[2])
if redis.call('GET', KEYS[2]) == ARGV[3] then redis.call('DEL', KEYS[2]) end
return 1
"""


class RedisStoreCondition:
    """`ConditionKeeper` on Redis."""

    def __init__(self, client: Redis, log: str) -> None:
        """`log`: the name of the log of results that the store is to hold."""
        self._client = client
        self._key = f"llm:store:{log}"
        self._lock = f"{self._key}:restoring"
        self._token = secrets.token_hex(8)

    async def read(self) -> StoreCondition:
        with _faults():
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._client.hsetnx(self._key, "data_id", secrets.token_hex(8))
                data_id, whole_until = await self._client.hmget(self._key, ["data_id", "whole_until"])
                server = await self._client.info("server")
        return StoreCondition(server["run_id"], _text(data_id), float(_text(whole_until) or 0))

    async def is_leading(self) -> bool:
        with _faults():
            if await self._client.set(self._lock, self._token, nx=True, ex=_LOCK_SECONDS):
                return True
            if await self._client.get(self._lock) != self._token.encode():
                return False
            return bool(await self._client.expire(self._lock, _LOCK_SECONDS))

    async def mark_whole(self, condition: StoreCondition, until: float) -> None:
        with _faults():
            await self._client.eval(
                _MARK_WHOLE, 2, self._key, self._lock, condition.data_id, repr(until), self._token
            )


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError, TimeoutError) as fault:
        raise StoreUnavailable(f"{type(fault).__name__}: {fault}") from fault


def _text(stored: bytes | str | None) -> str:
    return stored.decode() if isinstance(stored, bytes) else stored or ""
