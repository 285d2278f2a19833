"""Commands to Redis, as many as are waiting in one round trip.

While a batch is away, the next one gathers: the busier the process, the less a command costs, and a burst
needs one connection instead of a thousand. Every command must bear being repeated.
"""

import asyncio
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

_MOST_AT_ONCE = 128  # more would hold up everything else for milliseconds

_Waiting = list[tuple[tuple[Any, ...], asyncio.Future[Any]]]


class RedisBatches:
    """One client, one batch at a time."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._waiting: _Waiting = []
        self._sender: asyncio.Task[None] | None = None

    async def call(self, *command: Any) -> Any:
        """The reply, or what redis-py raises."""
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, reply))
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

    async def _send_waiting(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
                await self._send(batch)
        finally:
            self._sender = None
            _fail(self._waiting, RedisConnectionError("the store was closed"))

    async def _send(self, batch: _Waiting) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for command, _ in batch:
            pipeline.execute_command(*command)
        try:
            replies = await pipeline.execute(raise_on_error=False)
        except (RedisError, OSError, TimeoutError) as fault:
            # Who came meanwhile would only wait for the same.
            _fail(batch + self._waiting, fault)
            self._waiting = []
            return
        except Exception as fault:
            # uvloop says RuntimeError of a transport that closed just now.
            _fail(batch + self._waiting, RedisConnectionError(f"{type(fault).__name__}: {fault}"))
            self._waiting = []
            return
        except BaseException:
            _fail(batch, RedisConnectionError("the round trip was cut off"))
            raise
        for (_, waiting), reply in zip(batch, replies, strict=True):
            _settle(waiting, reply)


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
