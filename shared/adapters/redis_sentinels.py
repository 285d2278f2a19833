"""Asking sentinels where the master is."""

import asyncio
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from shared.adapters.redis_address import RedisAddress

_SHARE = 0.25
"""Of the time that a connection may take, for one sentinel: the others must be asked in it too."""


class Sentinels:
    """What one connection learns of them, all of its process know."""

    def __init__(self, address: RedisAddress, timeout_seconds: float) -> None:
        self._name = address.master
        self._limit_seconds = timeout_seconds * _SHARE
        # No socket timeout: redis-py would swallow a cancellation now and then (wait_for before Python 3.12).
        options = {"socket_timeout": None, "retry": Retry(NoBackoff(), 0), **address.sentinel_options}
        self._clients = [Redis(host=host, port=port, **options) for host, port in address.sentinels]
        self.master: tuple[str, int] | None = None
        """The one that was last connected to."""

    async def find_master(self) -> tuple[str, int]:
        """Where it should be; the next search begins with the sentinel that knew."""
        problems: list[str] = []
        for client in list(self._clients):
            try:
                async with asyncio.timeout(self._limit_seconds):
                    told: Any = await client.sentinel_master(self._name)
            except (RedisError, OSError, TimeoutError) as fault:
                problems.append(f"{type(fault).__name__} {fault}".strip())
                continue
            if _is_up(told):
                self._clients.remove(client)
                self._clients.insert(0, client)
                return str(told["ip"]), int(told["port"])
            problems.append("it is down")
        raise RedisConnectionError(f"no sentinel knows the master {self._name!r}: {'; '.join(problems)}")

    async def aclose(self) -> None:
        await asyncio.gather(*(client.aclose() for client in self._clients))


def _is_up(told: dict[str, Any]) -> bool:
    return bool(told["is_master"]) and not (told["is_sdown"] or told["is_odown"])
