"""Every result store that this product has, as its two users see it: a gateway and a worker."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis

from shared.adapters.fallback_result_store import fall_back_to_memory
from shared.adapters.memory_result_store import MemoryResultStore
from shared.adapters.redis_result_store import connect_redis_result_store
from shared.domain.job import JobId
from shared.ports import ResultStore
from tests.support.raw_redis import raw_client
from tests.support.redis_process import RedisServer

RETENTION = timedelta(hours=1)


@dataclass(frozen=True)
class Stores:
    """`gateway` and `worker` share what they know; where processes can share it, over two connections."""

    kind: str
    gateway: ResultStore
    worker: ResultStore
    is_forgotten_in: Callable[[JobId, float], Awaitable[bool]]
    """Whether nothing will be left of the id so many seconds from now."""
    is_available: bool = True


class AheadClock:
    """The time, or a time to come."""

    def __init__(self) -> None:
        self.ahead_seconds = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_seconds


@asynccontextmanager
async def memory_stores() -> AsyncIterator[Stores]:
    clock = AheadClock()
    store = MemoryResultStore(RETENTION, clock=clock)
    yield Stores("memory", store, store, _forgotten_by_clock(store, clock))


@asynccontextmanager
async def redis_stores(url: str, server_url: str = "") -> AsyncIterator[Stores]:
    """`server_url`: of the server itself, where `url` names sentinels."""
    async with (
        connect_redis_result_store(url, max_connections=10, retention=RETENTION) as gateway,
        connect_redis_result_store(url, max_connections=10, retention=RETENTION) as worker,
        raw_client(server_url or url) as client,
    ):
        yield Stores("redis", gateway, worker, _forgotten_by_ttl(client))


@asynccontextmanager
async def healthy_fallback_stores(url: str) -> AsyncIterator[Stores]:
    async with (
        connect_redis_result_store(url, max_connections=10, retention=RETENTION) as durable,
        fall_back_to_memory(durable, MemoryResultStore(RETENTION)) as store,
        Redis.from_url(url) as client,
    ):
        yield Stores("fallback", store, store, _forgotten_by_ttl(client))


@asynccontextmanager
async def degraded_fallback_stores(server: RedisServer) -> AsyncIterator[Stores]:
    """Its Redis was there at the start and is killed: the first call finds out."""
    clock = AheadClock()
    memory = MemoryResultStore(RETENTION, clock=clock)
    with server:
        async with (
            connect_redis_result_store(server.url, max_connections=10, retention=RETENTION) as durable,
            fall_back_to_memory(durable, memory) as store,
        ):
            server.kill()
            yield Stores("degraded", store, store, _forgotten_by_clock(memory, clock), is_available=False)


def _forgotten_by_ttl(client: Any) -> Callable[[JobId, float], Awaitable[bool]]:
    async def is_forgotten_in(job_id: JobId, seconds: float) -> bool:
        [key] = [key async for key in client.scan_iter(f"llm:*job:*{job_id.request_id}")]
        expires_ms: int = await client.pttl(key)
        assert expires_ms != -1, "the key would stay for ever"
        return expires_ms <= seconds * 1000

    return is_forgotten_in


def _forgotten_by_clock(
    store: MemoryResultStore, clock: AheadClock
) -> Callable[[JobId, float], Awaitable[bool]]:
    async def is_forgotten_in(job_id: JobId, seconds: float) -> bool:
        clock.ahead_seconds = seconds
        try:
            return not store.knows(job_id)
        finally:
            clock.ahead_seconds = 0

    return is_forgotten_in
