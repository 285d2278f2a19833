"""The connections of a process to Redis: one Redis, or the master that sentinels know."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.connection import Connection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from shared.adapters.redis_address import RedisAddress, parse_redis_url
from shared.adapters.redis_master import CONNECTIONS, PING_SECONDS
from shared.adapters.redis_refusal import expect_welcome
from shared.adapters.redis_sentinels import Sentinels


@asynccontextmanager
async def connect_redis(
    url: str, *, max_connections: int, timeout_seconds: float
) -> AsyncIterator[tuple[Redis, Redis]]:
    """A client for commands, which may all be repeated, and one that subscribes; closed at the end."""
    address = parse_redis_url(url)
    sentinels = Sentinels(address, timeout_seconds) if address.sentinels else None
    common = _common_options(address, sentinels, timeout_seconds)
    # One retry on a fresh connection covers an idle one that was closed, and a master that has moved.
    patience = {"timeout": timeout_seconds, "socket_timeout": timeout_seconds, "retry": Retry(NoBackoff(), 1)}
    pool = BlockingConnectionPool(**{"max_connections": max_connections, **patience, **common})
    listener_pool = ConnectionPool(
        **{"socket_timeout": None, "health_check_interval": PING_SECONDS, **common}
    )
    client, listener = Redis.from_pool(pool), Redis.from_pool(listener_pool)
    try:
        await expect_welcome(client, listener, timeout_seconds)
        yield client, listener
    finally:
        await listener.aclose()
        await client.aclose()
        if sentinels:
            await sentinels.aclose()


def _common_options(
    address: RedisAddress, sentinels: Sentinels | None, timeout_seconds: float
) -> dict[str, Any]:
    """What the URL says wins."""
    return {
        "socket_connect_timeout": timeout_seconds,
        "socket_keepalive": True,
        "sentinels": sentinels,
        **address.options,
        "connection_class": CONNECTIONS[address.options.get("connection_class", Connection)],
    }
