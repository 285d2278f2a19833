"""The connections of a process to Redis: one Redis, or the master that sentinels know."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.connection import Connection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from shared.adapters.redis_address import RedisAddress, parse_redis_url
from shared.adapters.redis_batches import RedisBatches
from shared.adapters.redis_cluster_batches import AnyBatches, RedisClusterBatches
from shared.adapters.redis_cluster_nodes import connected_nodes
from shared.adapters.redis_master import CONNECTIONS, PING_SECONDS
from shared.adapters.redis_refusal import expect_welcome
from shared.adapters.redis_sentinels import Sentinels


@asynccontextmanager
async def connect_redis(
    url: str, *, max_connections: int, timeout_seconds: float
) -> AsyncIterator[tuple[Redis | RedisClusterBatches, Redis]]:
    """A client for commands, which may all be repeated, and one that subscribes; closed at the end."""
    address = parse_redis_url(url)
    if address.cluster:
        connecting = connect_redis_cluster(
            address, max_connections=max_connections, timeout_seconds=timeout_seconds
        )
        async with connecting as (cluster, listener):
            yield cluster, listener
        return
    sentinels = Sentinels(address, timeout_seconds) if address.sentinels else None
    common = _common_options(address, sentinels, timeout_seconds)
    patience = _patience(timeout_seconds)
    pool = BlockingConnectionPool(**{"max_connections": max_connections, **patience, **common})
    client, listener = Redis.from_pool(pool), _listener(common)
    try:
        await expect_welcome(client, listener, timeout_seconds)
        yield client, listener
    finally:
        await listener.aclose()
        await client.aclose()
        if sentinels:
            await sentinels.aclose()


@asynccontextmanager
async def connect_redis_cluster(
    address: RedisAddress, *, max_connections: int, timeout_seconds: float
) -> AsyncIterator[tuple[RedisClusterBatches, Redis]]:
    """As `connect_redis`, with as many connections to each master."""
    common = _common_options(address, None, timeout_seconds)
    patience = _patience(timeout_seconds)

    def connect(host: str, port: int) -> Redis:
        where = {"host": host, "port": port, "max_connections": max_connections}
        return Redis.from_pool(BlockingConnectionPool(**{**patience, **common, **where}))

    async with connected_nodes(address.cluster, connect) as nodes:
        batches, listener = RedisClusterBatches(nodes), _listener({**common, "sentinels": nodes})
        try:
            await expect_welcome(batches, listener, timeout_seconds)
            yield batches, listener
        finally:
            await listener.aclose()


def batches_over(client: Redis | RedisClusterBatches) -> AnyBatches:
    """What sends many commands at once."""
    return client if isinstance(client, RedisClusterBatches) else RedisBatches(client)


def _listener(common: dict[str, Any]) -> Redis:
    options = {"socket_timeout": None, "health_check_interval": PING_SECONDS, **common}
    return Redis.from_pool(ConnectionPool(**options))


def _patience(timeout_seconds: float) -> dict[str, Any]:
    """One retry on a fresh connection covers an idle one that was closed, and a master that has moved."""
    return {"timeout": timeout_seconds, "socket_timeout": timeout_seconds, "retry": Retry(NoBackoff(), 1)}


def _common_options(
    address: RedisAddress, sentinels: Sentinels | None, timeout_seconds: float
) -> dict[str, Any]:
    """What the URL says wins."""
    return {
        "socket_connect_timeout": timeout_seconds,
        "socket_keepalive": True,
        "sentinels": sentinels,
        **address.options,
        "protocol": 3,  # replies are taken as they come: a map is one
        "connection_class": CONNECTIONS[address.options.get("connection_class", Connection)],
    }
