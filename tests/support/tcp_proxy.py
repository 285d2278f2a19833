"""A TCP proxy whose faults are switched while connections are open.

It runs in the caller's event loop. A broker behind it must advertise the proxy's port.
"""

import asyncio
import socket
import struct
from contextlib import suppress
from types import TracebackType
from typing import Self

_CHUNK_BYTES = 65_536
_LINGER_NOTHING = struct.pack("ii", 1, 0)  # closing throws away what is unsent, and sends RST


class TcpProxy:
    """`delay_seconds` holds every chunk for a while; the methods are the harder faults."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._is_open = asyncio.Event()
        self._is_open.set()
        self.host = "127.0.0.1"
        self.port = 0
        self.delay_seconds = 0.0

    async def start(self) -> None:
        """The first time on any free port; after `refuse` on the same one."""
        self._server = await asyncio.start_server(self._serve, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        await self.refuse()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server:
            await self._server.wait_closed()

    def blackhole(self) -> None:
        """Connections stay and new ones are accepted; no byte moves until `heal`, then none is lost."""
        self._is_open.clear()

    def heal(self) -> None:
        self._is_open.set()

    def cut(self) -> None:
        """Ends every open connection in order (FIN)."""
        for writer in self._writers:
            writer.close()

    def reset(self) -> None:
        """Breaks every open connection (RST)."""
        for writer in self._writers:
            connection: socket.socket = writer.get_extra_info("socket")
            with suppress(OSError):  # it may be gone already
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOTHING)
            writer.transport.abort()

    async def refuse(self) -> None:
        """Breaks every connection and listens no more, until `start`."""
        if self._server:
            self._server.close()
        self.reset()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            with suppress(asyncio.CancelledError):  # by `stop`; asyncio would report it as a failure
                await self._connect(reader, writer)
        finally:
            self._tasks.discard(task)
            await self._close(writer)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._is_open.wait()
        try:
            from_target, to_target = await asyncio.open_connection(*self._target)
        except OSError:
            return
        self._writers.add(to_target)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, to_target))
                group.create_task(self._pump(from_target, writer))
        finally:
            await self._close(to_target)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction, chunk by chunk; a half-closed connection stays half-open."""
        with suppress(OSError):
            while chunk := await reader.read(_CHUNK_BYTES):
                await asyncio.sleep(self.delay_seconds)
                await self._is_open.wait()
                writer.write(chunk)
                await writer.drain()
        with suppress(OSError):
            if not writer.is_closing():
                writer.write_eof()

    async def _close(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
