"""What REDIS_URL may say: one Redis, a master that sentinels know, or nodes of a cluster."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from redis.asyncio.connection import parse_url

_SENTINEL_PORT, _REDIS_PORT = 26379, 6379
_SCHEMES = {"redis+sentinel": "redis", "rediss+sentinel": "rediss"}
_CLUSTER_SCHEMES = {"redis+cluster": "redis", "rediss+cluster": "rediss"}
_CLUSTER_FORM = "redis+cluster://[user:password@]host[:6379][,host...] or rediss+cluster://..."
_FORM = "redis+sentinel://[user:password@]host[:26379][,host...]/master[/db] or rediss+sentinel://..."


@dataclass(frozen=True)
class RedisAddress:
    """The options of a connection, as redis-py names them, and who knows the master if it may move."""

    options: dict[str, Any]
    sentinels: tuple[tuple[str, int], ...] = ()
    master: str = ""
    sentinel_options: dict[str, Any] = field(default_factory=dict)
    cluster: tuple[tuple[str, int], ...] = ()


def parse_redis_url(url: str) -> RedisAddress:
    """Raises ValueError in one line that holds no password."""
    parts = urlsplit(url)
    if parts.scheme in _CLUSTER_SCHEMES:
        return _cluster_address(parts)
    if parts.scheme not in _SCHEMES:
        return RedisAddress(_options(url))
    credentials, _, hosts = parts.netloc.rpartition("@")
    master, _, database = parts.path.strip("/").partition("/")
    if not master:
        raise _wrong("it names no master")
    if database and not database.isdigit():
        raise _wrong(f"the database is {database!r}, not a number")
    sentinels = tuple(_node(host, _SENTINEL_PORT, _FORM) for host in hosts.split(","))
    plain = f"{_SCHEMES[parts.scheme]}://{credentials}@master/{database}?{parts.query}"
    options = _options(plain)
    del options["host"]
    return RedisAddress(options, sentinels, master, dict(_sentinel_options(options, parts.scheme)))


def _cluster_address(parts: SplitResult) -> RedisAddress:
    credentials, _, hosts = parts.netloc.rpartition("@")
    if parts.path.strip("/") not in {"", "0"}:
        raise ValueError(f"a cluster has database 0 alone; allowed is {_CLUSTER_FORM}")
    nodes = tuple(_node(host, _REDIS_PORT, _CLUSTER_FORM) for host in hosts.split(","))
    options = _options(f"{_CLUSTER_SCHEMES[parts.scheme]}://{credentials}@node/0?{parts.query}")
    for name in ("host", "db"):
        del options[name]
    return RedisAddress(options, cluster=nodes)


def _options(url: str) -> dict[str, Any]:
    try:
        return dict(parse_url(url))
    except ValueError as fault:
        raise ValueError(f"{fault} A deployment with sentinels: {_FORM}") from None


def _node(host_and_port: str, default_port: int, form: str) -> tuple[str, int]:
    address = urlsplit(f"//{host_and_port}")
    try:
        host, port = address.hostname, address.port
    except ValueError:
        problem = f"the port of {host_and_port!r} is not one from 0 to 65535"
        raise ValueError(f"{problem}; allowed is {form}") from None
    if not host:
        raise ValueError(f"a host is missing; allowed is {form}")
    return host, default_port if port is None else port


def _sentinel_options(options: dict[str, Any], scheme: str) -> Iterator[tuple[str, Any]]:
    """Sentinels share the encryption with their Redis, and have an own password if they have any."""
    for name in ("username", "password"):
        if f"sentinel_{name}" in options:
            yield name, options.pop(f"sentinel_{name}")
    yield "ssl", scheme == "rediss+sentinel"
    yield from ((name, value) for name, value in options.items() if name.startswith("ssl_"))


def _wrong(problem: str) -> ValueError:
    return ValueError(f"{problem}; allowed is {_FORM}")
