"""The stores of the contract tests."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from redis.asyncio import Redis

from shared.adapters.redis_batches import RedisBatches
from shared.adapters.redis_connections import connect_redis
from tests.conftest import missing
from tests.contract.golden_files import FOLDER, GoldenFiles
from tests.contract.result_stores import (
    Stores,
    degraded_fallback_stores,
    healthy_fallback_stores,
    memory_stores,
    redis_stores,
)
from tests.support.availability import Unavailable
from tests.support.redis_acl import with_least_rights
from tests.support.redis_cluster import find_redis_cluster
from tests.support.redis_process import RedisServer
from tests.support.redis_sentinel import find_sentinel
from tests.support.redis_servers import any_binary, find_redis, find_valkey
from tests.support.running import RunningServers
from tests.support.server import AnyRedis


@pytest.fixture(params=["memory", "redis", "valkey", "sentinel", "cluster", "fallback", "degraded"])
async def stores(request: pytest.FixtureRequest, servers: RunningServers) -> AsyncIterator[Stores]:
    """Each store in turn."""
    try:
        opened = _open(request, servers)
    except Unavailable as reason:
        missing(str(reason))
    async with opened as stores:
        yield stores


def _open(request: pytest.FixtureRequest, servers: RunningServers) -> AbstractAsyncContextManager[Stores]:
    match request.param:
        case "redis":
            return redis_stores(servers.get(find_redis).url)
        case "valkey":
            server = servers.get(find_valkey)
            return redis_stores(with_least_rights(server.url), server.url)
        case "cluster":
            return redis_stores(servers.get(find_redis_cluster).url)
        case "sentinel":
            deployment = servers.get(find_sentinel)
            return redis_stores(deployment.url, deployment.master().url)
        case "fallback":
            any_redis: AnyRedis = request.getfixturevalue("any_redis")
            return healthy_fallback_stores(any_redis.url)
        case "degraded":
            return degraded_fallback_stores(RedisServer(any_binary()))
        case _:
            return memory_stores()


@pytest.fixture(params=["memory", "redis", "valkey", "cluster"])
def memory_or_redis(request: pytest.FixtureRequest, servers: RunningServers) -> str | None:
    """The URL of each server in turn; None: the memory of the process."""
    finders: dict[str, Callable[[], AnyRedis]]
    finders = {"redis": find_redis, "valkey": find_valkey, "cluster": find_redis_cluster}
    try:
        return servers.get(finders[request.param]).url if request.param in finders else None
    except Unavailable as reason:
        missing(str(reason))


@pytest.fixture
async def client(any_redis: AnyRedis) -> AsyncIterator[Redis]:
    async with connect_redis(any_redis.url, max_connections=2, timeout_seconds=2) as (client, _):
        assert isinstance(client, Redis)
        yield client


@pytest.fixture
async def batches(client: Redis) -> AsyncIterator[RedisBatches]:
    batches = RedisBatches(client)
    yield batches
    await batches.aclose()


@pytest.fixture
def golden() -> GoldenFiles:
    return GoldenFiles(FOLDER, os.environ)
