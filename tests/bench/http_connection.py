"""The least HTTP client that can ask a keep-alive server: the load generator must not be the limit."""

import asyncio
from typing import NamedTuple, Self, cast

_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"content-length:"


class Reply(NamedTuple):
    status: int
    body: bytes
    head: bytes = b""
    """In lower case."""

    def header(self, name: bytes) -> bytes | None:
        lines = (line.partition(b":") for line in self.head.split(b"\r\n"))
        return next((value.strip() for key, _, value in lines if key == name), None)


class HttpConnection(asyncio.Protocol):
    """One connection, one question at a time; the server must send Content-Length."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._answer: asyncio.Future[Reply] | None = None
        self._received = b""

    @classmethod
    async def open(cls, host: str, port: int) -> Self:
        _, connection = await asyncio.get_running_loop().create_connection(cls, host, port)
        return connection

    def ask(self, request: bytes) -> asyncio.Future[Reply]:
        """Status and body of the answer; `ConnectionError` if the server leaves instead."""
        answer = self._answer = asyncio.get_running_loop().create_future()
        if self._transport is None:
            self._fail(None)
        else:
            self._transport.write(request)
        return answer

    @property
    def is_open(self) -> bool:
        return self._transport is not None

    def close(self) -> None:
        if self._transport:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's own class is not one

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._fail(exc)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_length = self._received.find(_END_OF_HEAD)
        if head_length < 0:
            return
        head = self._received[:head_length].lower()
        body_at = head_length + len(_END_OF_HEAD)
        end = body_at + _content_length(head)
        if len(self._received) >= end and self._answer is not None and not self._answer.done():
            self._answer.set_result(Reply(int(head[9:12]), self._received[body_at:end], head))
            self._received = self._received[end:]

    def _fail(self, fault: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError(f"the server closed the connection: {fault}"))


def post(path: str, body: bytes, headers: tuple[str, ...] = ()) -> bytes:
    told = "".join(f"{header}\r\n" for header in headers)
    head = f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n{told}"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n".encode()


def _content_length(head: bytes) -> int:
    _, _, rest = head.partition(_LENGTH)
    return int(rest.split(b"\r\n", 1)[0])
