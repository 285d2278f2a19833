"""What becomes of waiting commands when their connection fails in a way of its own."""

import asyncio
from typing import Any, cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from shared.adapters.redis_batches import RedisBatches


class ClosingPipeline:
    """As uvloop behaves when the peer has just gone."""

    def execute_command(self, *command: Any) -> None:
        pass

    async def execute(self, *, raise_on_error: bool) -> list[Any]:
        raise RuntimeError("unable to perform operation on <TCPTransport>; the handler is closed")


class ClosingClient:
    def pipeline(self, *, transaction: bool) -> ClosingPipeline:
        return ClosingPipeline()


async def test_a_transport_that_closed_just_now_is_a_lost_connection_for_everybody() -> None:
    batches = RedisBatches(cast("Redis", ClosingClient()))
    replies = await asyncio.gather(*(batches.call("PING") for _ in range(300)), return_exceptions=True)
    assert {type(reply) for reply in replies} == {RedisConnectionError}
    with pytest.raises(RedisConnectionError, match="handler is closed"):  # and it goes on
        await batches.call("PING")
