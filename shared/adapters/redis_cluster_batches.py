"""`RedisBatches` over a Redis Cluster: a batch a master, and keys of one command in one slot."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis.asyncio import Redis
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from shared.adapters.redis_batches import RedisBatches
from shared.adapters.redis_cluster_keys import parts, tagged
from shared.adapters.redis_cluster_nodes import Address, RedisClusterNodes
from shared.fault_text import describe

_MOST_TRIES = 4
_PAUSE_SECONDS = 0.1
_PATIENCE_SECONDS = 4.0
"""Of all tries: a frozen master uses it up with the first one, as a single frozen Redis would."""
_LOST = (RedisConnectionError, RedisTimeoutError, OSError, TimeoutError)
_SCRIPTS = frozenset({"EVAL", "EVALSHA"})


class RedisClusterBatches:
    """Follows slots that move; what a master that died would have said, the next one is asked for."""

    def __init__(self, nodes: RedisClusterNodes) -> None:
        self._nodes = nodes

    async def call(self, *command: Any) -> Any:
        """The reply, or what redis-py raises."""
        command, slot = _placed(command)
        await self._nodes.known()
        fault: BaseException = RedisConnectionError("not tried")
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        for tried in range(_MOST_TRIES):
            if time.monotonic() > give_up_at:
                break
            try:
                return await self._nodes.batches(self._nodes.of_slot(slot)).call(*command)
            except MovedError as moved:  # it is an AskError too
                fault = moved
                await self._nodes.learn()
            except AskError as moving:
                return await self._ask(moving.node_addr, command)
            except (TryAgainError, ClusterDownError) as passing:
                fault = passing
                await asyncio.sleep(_PAUSE_SECONDS * 2**tried)
            except _LOST as lost:
                fault = lost
                await asyncio.sleep(_PAUSE_SECONDS * 2**tried)
                await self._nodes.learn()
        raise fault if isinstance(fault, _LOST) else RedisConnectionError(describe(fault))

    def parts(self, key: str) -> list[str]:
        """A sum or an index in every shard."""
        return parts(key)

    async def run_ids(self) -> list[str]:
        """Of every master: another one there has not all that the one before had."""
        await self._nodes.learn()
        told = await asyncio.gather(*(client.info("server") for client in self.masters))
        return sorted(str(server["run_id"]) for server in told)

    async def ping(self) -> bool:
        """Whether every slot has a master that answers."""
        await self._nodes.learn()
        await asyncio.gather(*(client.ping() for client in self.masters))
        return True

    async def eval(self, script: str, number_of_keys: int, *keys_and_arguments: Any) -> Any:
        return await self.call("EVAL", script, number_of_keys, *keys_and_arguments)

    async def aclose(self) -> None:
        """The nodes are closed by who connected them."""

    async def _ask(self, address: Address, command: tuple[Any, ...]) -> Any:
        """A key that has moved ahead of its slot; its next master answers if told that it is asked."""
        pipeline = self._nodes.client(address).pipeline(transaction=False)
        pipeline.execute_command("ASKING")
        pipeline.execute_command(*command)
        with _as_lost():
            _, reply = await pipeline.execute()
        return reply

    @property
    def masters(self) -> list[Redis]:
        """A client of each."""
        return [self._nodes.client(address) for address in self._nodes.masters]


AnyBatches = RedisBatches | RedisClusterBatches


@contextmanager
def _as_lost() -> Iterator[None]:
    """uvloop says RuntimeError of a transport that closed just now."""
    try:
        yield
    except RuntimeError as fault:
        raise RedisConnectionError(describe(fault)) from fault


def _placed(command: tuple[Any, ...]) -> tuple[tuple[Any, ...], int]:
    """The command with its keys where they are in a cluster, and their slot."""
    if command[0] in _SCRIPTS:
        first, last = 3, 3 + command[2]
    else:
        first, last = 1, 2
    keys = tagged(tuple(command[first:last]))
    return (*command[:first], *keys, *command[last:]), key_slot(keys[0].encode())
