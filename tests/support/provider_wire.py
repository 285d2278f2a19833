"""How the scripted provider sends: properly, and in every way that a server should not."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tests.support.provider_ledger import Call

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_JSON = "application/json"
_CHUNK = b" " * 65_536
_PAUSE_SECONDS = 0.02
_HEAD = b"HTTP/1.1 200 OK\r\n"
_POURED_HEADERS = {
    "endless_header": (b"x-endless: ", b"a" * 8192),
    "endless_headers": (b"", b"x-one: 1\r\n" * 100),
}


class TellingProtocol(HttpToolsProtocol):
    """uvicorn's own; the application can reach the connection under it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["transport"] = self.transport


async def send_json(
    send: Send, body: Any, *, status: int = 200, headers: dict[str, str] | None = None
) -> None:
    await send_bytes(send, orjson.dumps(body), status=status, headers=headers)


async def send_bytes(
    send: Send, body: bytes, *, status: int = 200, headers: dict[str, str] | None = None
) -> None:
    usual = {"content-type": _JSON, "content-length": f"{len(body)}"}
    await send_head(send, status, usual | (headers or {}))
    await send({"type": "http.response.body", "body": body})


async def send_head(send: Send, status: int, headers: dict[str, str]) -> None:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})


async def send_half(send: Send, body: bytes) -> None:
    """Returning after this makes uvicorn close the connection."""
    await send_head(send, 200, {"content-type": _JSON, "content-length": f"{len(body)}"})
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})


async def send_wrongly(scope: Scope, receive: Receive, send: Send, call: Call, body: bytes) -> None:
    """The fault of `call`, for as long as the client stays."""
    leaving = asyncio.ensure_future(receive())  # after the request only the disconnect is left to come
    transport: asyncio.Transport = scope["state"]["transport"]
    match call.fault:
        case "stall":
            await send_half(send, body)
        case "drip" | "endless_body":
            await _send_for_ever(send, call, leaving)
        case "short_length":
            transport.write(_HEAD + b"content-length: %d\r\n\r\n" % (len(body) // 2) + body)
        case "noise":
            transport.write(b"\x16\x03\x01\x02\x00 220 this is not HTTP\r\n\r\n")
        case name:
            await _pour(transport, call, leaving, *_POURED_HEADERS[name])
    await leaving
    call.was_disconnected = True


async def _send_for_ever(send: Send, call: Call, leaving: "asyncio.Future[Any]") -> None:
    drips = call.fault == "drip"
    chunk = b" " if drips else _CHUNK
    await send_head(send, 200, {"content-type": _JSON})
    while not leaving.done():
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        call.sent_bytes += len(chunk)
        await asyncio.sleep(_PAUSE_SECONDS if drips else 0)


async def _pour(
    transport: asyncio.Transport, call: Call, leaving: "asyncio.Future[Any]", first: bytes, more: bytes
) -> None:
    transport.write(_HEAD + first)
    while not leaving.done():
        transport.write(more)
        call.sent_bytes += len(more)
        await asyncio.sleep(_PAUSE_SECONDS)
