"""What becomes of waiting commands when their connection fails in a way of its own."""

import asyncio
from typing import Any, cast

import pytest
from redis.asyncio import Redis
from redis.asyncio.connection import Connection
from redis.exceptions import ConnectionError as RedisConnectionError

from shared.adapters.redis_batches import RedisBatches
from shared.adapters.redis_master import MasterConnection


class ClosingWriter:
    """As uvloop behaves when the peer has just gone."""

    def write(self, data: bytes) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport>; the handler is closed")


class ClosingConnection(MasterConnection, Connection):
    async def connect(self) -> None:
        self._writer = ClosingWriter()

    async def disconnect(self, *_: Any, **__: Any) -> None:
        self._writer = None


class ClosingClient:
    connection_pool: Any

    def __init__(self) -> None:
        self.connection_pool = self

    def make_connection(self) -> ClosingConnection:
        return ClosingConnection()


async def test_a_transport_that_closed_just_now_is_a_lost_connection_for_everybody() -> None:
    batches = RedisBatches(cast("Redis", ClosingClient()))
    replies = await asyncio.gather(*(batches.call("PING") for _ in range(300)), return_exceptions=True)
    assert {type(reply) for reply in replies} == {RedisConnectionError}
    with pytest.raises(RedisConnectionError, match="handler is closed"):  # and it goes on
        await batches.call("PING")
