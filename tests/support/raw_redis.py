"""A client of the library's own for whatever a test looks at behind the product's back."""

from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster


def raw_client(url: str) -> Any:
    """For one server, or for a cluster."""
    parts = urlsplit(url)
    if parts.scheme != "redis+cluster":
        return Redis.from_url(url)
    hosts = [urlsplit(f"//{host}") for host in parts.netloc.rpartition("@")[2].split(",")]
    return RedisCluster(startup_nodes=[ClusterNode(host.hostname or "", host.port or 6379) for host in hosts])
