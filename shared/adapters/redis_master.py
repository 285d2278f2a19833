"""Connections that stay with the master: they leave one that was demoted, replaced, or is silent."""

import asyncio
from typing import Any

from redis._parsers.hiredis import NOT_ENOUGH_DATA
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from shared.adapters.redis_sentinels import Sentinels
from shared.fault_text import describe

PING_SECONDS = 2
_SILENCE_SECONDS = 5.0
"""Two pings without an answer: whoever is subscribed there is told nothing any more."""
_DEMOTED = ("READONLY", "MASTERDOWN", "UNBLOCKED")


class MasterConnection(AbstractConnection):
    """What is special about all connections of this service."""

    host: str
    port: int
    _writer: Any
    _parser: Any

    def __init__(self, *, sentinels: Sentinels | None = None, **options: Any) -> None:
        self._sentinels = sentinels
        self._heard_at = 0.0
        super().__init__(**options)

    async def connect(self) -> None:
        if self.is_connected and self._has_moved():
            await self.disconnect(nowait=True)
        await super().connect()  # type: ignore[no-untyped-call]

    async def _connect(self) -> None:
        if self._sentinels:
            async with asyncio.timeout(self.socket_connect_timeout):
                self.host, self.port = await self._sentinels.find_master()
        await super()._connect()  # type: ignore[no-untyped-call, safe-super]

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        """Under a time limit of its own: a listener has none for reading."""
        try:
            async with asyncio.timeout(self.socket_connect_timeout):
                await super().on_connect_check_health(check_health)
                if self._sentinels:
                    await self._expect_master(self._sentinels)
        except TimeoutError:
            raise RedisTimeoutError(f"{self._host_error()} took the connection and says nothing") from None

    async def _expect_master(self, sentinels: Sentinels) -> None:
        """A sentinel that was cut off still names the old one. HELLO tells, and needs no permission."""
        await self.send_command("HELLO", check_health=False)
        told = await self.read_response()
        if b"master" not in (told.values() if isinstance(told, dict) else told):
            raise RedisConnectionError(f"{self._host_error()} is a replica; no master is known yet")
        sentinels.master = self.host, self.port

    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        try:
            response = await super().read_response(*arguments, **options)
        except ResponseError as refusal:
            if not _is_demoted(refusal):
                raise
            await self.disconnect(nowait=True)
            raise RedisConnectionError(f"{self._host_error()} is no master: {refusal}") from refusal
        await self._expect_life(has_answered=response is not None)
        return response

    async def exchange(self, commands: bytes, count: int) -> list[Any]:
        """The `count` replies to packed commands, refusals among them; one time limit for all.

        What redis-py does for each reply costs more than the reply; here it is done once for all of them.
        """
        try:
            async with asyncio.timeout(self.socket_timeout):
                await self.connect()
                self._writer.write(commands)
                await self._writer.drain()
                replies = [await self._parser.read_response() for _ in range(count)]
            self._expect_no_demotion(replies)
        except BaseException as fault:
            await self.disconnect(nowait=True)  # what is still on its way belongs to nobody
            if (lost := _lost(fault)) is None:
                raise
            raise lost from fault
        return replies

    async def heard(self, seconds: float) -> list[bytes]:
        """What a subscription is told next and all that came with it; nothing after `seconds`."""
        try:
            told = await self._next_pushes(seconds)
            await self._expect_life(has_answered=bool(told))
            if told:
                self.next_health_check = self._heard_at + self.health_check_interval
        except BaseException as fault:
            await self.disconnect(nowait=True)
            if (lost := _lost(fault)) is None:
                raise
            raise lost from fault
        return [push[2] for push in told if isinstance(push, list) and push[0] == b"message"]

    async def _next_pushes(self, seconds: float) -> list[Any]:
        try:
            async with asyncio.timeout(seconds):
                pushes = [await self._parser.read_response(push_request=True)]
        except TimeoutError:
            return []
        while (push := self._parser._reader.gets()) is not NOT_ENOUGH_DATA:  # noqa: SLF001 - hiredis' own
            pushes.append(push)
        return pushes

    def _expect_no_demotion(self, replies: list[Any]) -> None:
        for reply in replies:
            if isinstance(reply, ResponseError) and _is_demoted(reply):
                raise RedisConnectionError(f"{self._host_error()} is no master: {reply}")

    async def _expect_life(self, *, has_answered: bool) -> None:
        """A subscription would wait for ever on a server that is frozen, gone without a word, or replaced."""
        now = asyncio.get_running_loop().time()
        if has_answered:
            self._heard_at = now
        elif self._has_moved() or now - self._heard_at > _SILENCE_SECONDS:
            await self.disconnect(nowait=True)
            raise RedisConnectionError(f"{self._host_error()} is silent, or no master any more")

    def _has_moved(self) -> bool:
        return self._sentinels is not None and self._sentinels.master != (self.host, self.port)


class _TcpConnection(MasterConnection, Connection):
    pass


class _TlsConnection(MasterConnection, SSLConnection):
    pass


class _UnixConnection(MasterConnection, UnixDomainSocketConnection):
    pass


CONNECTIONS: dict[Any, type[AbstractConnection]] = {
    # What redis-py would take: what this service takes.
    Connection: _TcpConnection,
    SSLConnection: _TlsConnection,
    UnixDomainSocketConnection: _UnixConnection,
}


def _is_demoted(refusal: ResponseError) -> bool:
    """By its code, which redis-py cuts off, or inside a script's error, as before Redis 7."""
    said = f"{refusal.status_code or ''} {refusal}"
    return any(code in said for code in _DEMOTED)


def _lost(fault: BaseException) -> RedisError | None:
    """What ended an exchange, as redis-py would say it; None: it stands as it is."""
    if isinstance(fault, RedisError) or not isinstance(fault, Exception):
        return None
    if isinstance(fault, TimeoutError):
        return RedisTimeoutError("Redis did not answer in time")
    # uvloop says RuntimeError of a transport that closed just now.
    return RedisConnectionError(describe(fault))
