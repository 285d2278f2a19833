"""Commands to Redis, as many as are waiting in one round trip.

While a batch is away, the next one gathers: the busier the process, the less a command costs, and a burst
needs one connection instead of a thousand. Every command must bear being repeated.
"""

import asyncio
from typing import Any

from hiredis import pack_command
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from shared.adapters.redis_master import MasterConnection

_MOST_AT_ONCE = 128  # more would hold up everything else for milliseconds

_Waiting = list[tuple[bytes, asyncio.Future[Any]]]


class RedisBatches:
    """One batch at a time over a connection of its own, made as the client makes its."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._connection: MasterConnection = client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        self._waiting: _Waiting = []
        self._sender: asyncio.Task[None] | None = None

    async def call(self, *command: Any) -> Any:
        """The reply as it came, or what redis-py raises."""
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((pack_command(command), reply))
        if self._sender is None:
            self._sender = asyncio.create_task(self._send_waiting())
        return await reply

    def parts(self, key: str) -> list[str]:
        """Where a sum or an index is; over a cluster it has one in every shard."""
        return [key]

    async def run_ids(self) -> list[str]:
        """Of every server: another one has not all that the one before had."""
        return [str((await self._client.info("server"))["run_id"])]

    async def aclose(self) -> None:
        """Cut off what is under way."""
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)
        await self._connection.disconnect(nowait=True)

    async def _send_waiting(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
                await self._send(batch)
        finally:
            self._sender = None
            _fail(self._waiting, RedisConnectionError("the store was closed"))

    async def _send(self, batch: _Waiting) -> None:
        try:
            replies = await self._exchange(b"".join([command for command, _ in batch]), len(batch))
        except RedisError as fault:
            # Who came meanwhile would only wait for the same.
            _fail(batch + self._waiting, fault)
            self._waiting = []
            return
        except BaseException:
            _fail(batch, RedisConnectionError("the round trip was cut off"))
            raise
        for (_, waiting), reply in zip(batch, replies, strict=True):
            _settle(waiting, reply)

    async def _exchange(self, commands: bytes, count: int) -> list[Any]:
        """Once more on a fresh connection: an idle one may have been closed, a master may have moved."""
        try:
            return await self._connection.exchange(commands, count)
        except (RedisConnectionError, RedisTimeoutError):
            return await self._connection.exchange(commands, count)


def _settle(waiting: asyncio.Future[Any], reply: Any) -> None:
    if waiting.done():
        return  # its caller left
    if isinstance(reply, Exception):
        waiting.set_exception(reply)
    else:
        waiting.set_result(reply)


def _fail(batch: _Waiting, fault: Exception) -> None:
    for _, waiting in batch:
        if not waiting.done():
            waiting.set_exception(fault)
