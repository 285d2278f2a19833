"""A fake OpenAI-compatible provider: `python -m tests.support.scripted_provider --port 0`.

Bare ASGI, because load tests must find the service slow, not its provider. What it does is scripted by
`PUT /script` and by directives in the messages (provider_behaviour.py); what it was asked stands in
`GET /ledger`, is counted by `GET /ledger/count` and forgotten by `DELETE /ledger`.
"""

import argparse
import asyncio
import resource
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

import orjson
import uvicorn

from tests.support.provider_answers import Answer, Json, answer, error_body, models_body
from tests.support.provider_behaviour import Behaviour, Script
from tests.support.provider_ledger import Call

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_BACKLOG = 4096
_KEEP_ALIVE_SECONDS = 600  # a client that reuses a connection must not meet its end
_FOREVER_SECONDS = 86_400.0


class Provider:
    """The ASGI application; its state is the script and the ledger."""

    def __init__(self) -> None:
        self._script = Script()
        self._ledger: list[Call] = []
        self._arrivals = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["method"], scope["path"]:
            case "POST", "/v1/chat/completions":
                await self._complete(scope, receive, send)
            case "GET", "/v1/models":
                await _send_json(send, models_body())
            case "PUT", "/script":
                await self._set_script(await _body(receive), send)
            case "GET", "/ledger":
                await _send_json(send, [call.as_json() for call in self._ledger])
            case "GET", "/ledger/count":
                await _send_json(send, {"count": len(self._ledger)})
            case "DELETE", "/ledger":
                self._ledger.clear()
                await _send_json(send, {"count": 0})
            case _:
                await _send_json(send, error_body(404, "unknown_url"), status=404)

    async def _set_script(self, body: bytes, send: Send) -> None:
        try:
            self._script = Script(orjson.loads(body))
        except (ValueError, TypeError) as error:
            await _send_json(send, {"error": str(error)}, status=400)
        else:
            await _send_json(send, {})

    async def _complete(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            request: Json = orjson.loads(await _body(receive))
            message = _last_user_message(request)
            behaviour = self._script.behaviour(message)
        except (ValueError, TypeError, KeyError, AttributeError):
            await _send_json(send, error_body(400), status=400)
            return
        call = self._record(scope, request, message)
        seconds = _FOREVER_SECONDS if behaviour.hang else self._script.seconds(behaviour)
        if await _is_gone_within(seconds, receive):
            call.was_disconnected = True
            return
        call.status = behaviour.status
        await _answer(send, request, behaviour, answer(call.number, request, message, behaviour))

    def _record(self, scope: Scope, request: Json, message: str) -> Call:
        self._arrivals += 1
        key = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        parameters = {name: value for name, value in request.items() if name != "messages"}
        call = Call(self._arrivals, message, key.decode("latin-1")[-4:], parameters)
        self._ledger.append(call)
        return call


async def _answer(send: Send, request: Json, behaviour: Behaviour, whole: Answer) -> None:
    if behaviour.status >= 400:
        headers = {"retry-after": f"{behaviour.retry_after}"} if behaviour.retry_after is not None else {}
        body = error_body(behaviour.status, behaviour.code)
        await _send_json(send, body, status=behaviour.status, headers=headers)
    elif request.get("stream"):
        await _send_stream(send, request, behaviour, whole)
    else:
        await _send_whole(send, behaviour, orjson.dumps(whole.body()))


async def _send_whole(send: Send, behaviour: Behaviour, body: bytes) -> None:
    if behaviour.malformed:
        await _send_bytes(send, body[: len(body) // 2])
    elif behaviour.cut:
        await _send_head(send, 200, {"content-type": "application/json", "content-length": f"{len(body)}"})
        # Returning without the rest makes uvicorn close the connection.
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    else:
        await _send_bytes(send, body)


async def _send_stream(send: Send, request: Json, behaviour: Behaviour, whole: Answer) -> None:
    has_usage = bool((request.get("stream_options") or {}).get("include_usage"))
    events = [b"data: %s\n\n" % orjson.dumps(chunk) for chunk in whole.chunks(has_usage=has_usage)]
    events.append(b"data: [DONE]\n\n")
    middle = len(events) // 2
    if behaviour.malformed:
        events[middle] = b'data: {"id": "chatcmpl-\n\n'
    await _send_head(send, 200, {"content-type": "text/event-stream"})
    for event in events[: middle if behaviour.cut else None]:
        await send({"type": "http.response.body", "body": event, "more_body": True})
    if not behaviour.cut:
        await send({"type": "http.response.body", "body": b""})


async def _send_json(
    send: Send, body: Any, *, status: int = 200, headers: dict[str, str] | None = None
) -> None:
    await _send_bytes(send, orjson.dumps(body), status=status, headers=headers)


async def _send_bytes(
    send: Send, body: bytes, *, status: int = 200, headers: dict[str, str] | None = None
) -> None:
    usual = {"content-type": "application/json", "content-length": f"{len(body)}"}
    await _send_head(send, status, usual | (headers or {}))
    await send({"type": "http.response.body", "body": body})


async def _send_head(send: Send, status: int, headers: dict[str, str]) -> None:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


async def _is_gone_within(seconds: float, receive: Receive) -> bool:
    """Waits, and says whether the client left meanwhile; an instant answer does not even ask."""
    if not seconds:
        return False
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await receive()  # after the whole body only the disconnect is left to come
            return True
    return False


def _last_user_message(request: Json) -> str:
    messages = (message for message in reversed(request["messages"]) if message["role"] == "user")
    content = next(messages, {"content": ""})["content"]
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    words = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a connection a call
    with socket.create_server((words.host, words.port), backlog=_BACKLOG) as listener:
        print(f"listening on http://{words.host}:{listener.getsockname()[1]}/v1", flush=True)
        config = uvicorn.Config(
            Provider(),
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="off",
            access_log=False,
            log_level="error",
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=1,
        )
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
