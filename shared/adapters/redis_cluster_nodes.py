"""The masters of a Redis Cluster and their slots, as one of its nodes tells them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError

from shared.adapters.redis_batches import RedisBatches

Address = tuple[str, int]
_ASK_SECONDS = 1.0
_FAULTS = (RedisError, OSError, TimeoutError)


class RedisClusterNodes:
    """Clients are made when a node is first needed, and kept: a master that failed comes back."""

    def __init__(self, first: tuple[Address, ...], connect: Callable[[str, int], Redis]) -> None:
        self._first = first
        self._connect = connect
        self._nodes: dict[Address, RedisBatches] = {}
        self._clients: dict[Address, Redis] = {}
        self._slots: list[tuple[int, int, Address]] = []
        self._learning: asyncio.Task[None] | None = None
        self.master: Address | None = None
        """The one that the listener is connected to."""

    @property
    def masters(self) -> list[Address]:
        return list(dict.fromkeys(address for _, _, address in self._slots))

    def client(self, address: Address) -> Redis:
        if address not in self._clients:
            self._clients[address] = self._connect(*address)
        return self._clients[address]

    def batches(self, address: Address) -> RedisBatches:
        if address not in self._nodes:
            self._nodes[address] = RedisBatches(self.client(address))
        return self._nodes[address]

    def of_slot(self, slot: int) -> Address:
        for first, last, address in self._slots:
            if first <= slot <= last:
                return address
        raise RedisConnectionError(f"no master of the cluster has slot {slot}")

    async def learn(self) -> None:
        """Ask anew; who asks at once shares the answer."""
        if self._learning is None or self._learning.done():
            self._learning = asyncio.create_task(self._learn())
        await asyncio.shield(self._learning)

    async def known(self) -> None:
        if not self._slots:
            await self.learn()

    async def find_master(self) -> Address:
        """Any that answers: what is published anywhere is heard everywhere."""
        await self.learn()
        for address in self.masters:
            try:
                await self.client(address).ping()
            except _FAULTS:
                continue
            return address
        raise RedisConnectionError("no master of the cluster answers")

    async def aclose(self) -> None:
        if self._learning is not None:
            self._learning.cancel()
            await asyncio.gather(self._learning, return_exceptions=True)
        await asyncio.gather(*(batches.aclose() for batches in self._nodes.values()))
        await asyncio.gather(*(client.aclose() for client in self._clients.values()))

    async def _learn(self) -> None:
        fault: BaseException | None = None
        for address in dict.fromkeys([*self.masters, *self._clients, *self._first]):
            try:
                async with asyncio.timeout(_ASK_SECONDS):
                    told: Any = await self.client(address).execute_command("CLUSTER", "SLOTS")  # type: ignore[no-untyped-call]
            except (AuthenticationError, NoPermissionError):
                raise
            except _FAULTS as other:
                fault = other
                continue
            self._slots = [_range(row, address[0]) for row in told]
            return
        raise RedisConnectionError(f"no node of the cluster answers: {fault}") from fault


def _range(row: Any, asked: str) -> tuple[int, int, Address]:
    """A node that does not know its own name means the one that was asked for."""
    first, last, master = row[0], row[1], row[2]
    host = master[0].decode() if isinstance(master[0], bytes) else master[0]
    return int(first), int(last), (host or asked, int(master[1]))


@asynccontextmanager
async def connected_nodes(
    first: tuple[Address, ...], connect: Callable[[str, int], Redis]
) -> AsyncIterator[RedisClusterNodes]:
    nodes = RedisClusterNodes(first, connect)
    try:
        yield nodes
    finally:
        await nodes.aclose()
