"""A fake OpenAI-compatible provider: `python -m tests.support.scripted_provider --port 0`.

Bare ASGI, because load tests must find the service slow, not its provider. What it does is scripted by
`PUT /script` and by directives in the messages (provider_behaviour.py); what it was asked stands in
`GET /ledger` (`?running_at=` an instant, `?after=` a number), is counted by `GET /ledger/count` and
forgotten by `DELETE /ledger`.
"""

import argparse
import asyncio
import resource
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qsl

import orjson
import uvicorn

from tests.support.provider_answers import Answer, Json, answer, error_body, models_body, recorded
from tests.support.provider_behaviour import Behaviour, Script
from tests.support.provider_faults import BYTES, SHAPES, WIRE
from tests.support.provider_ledger import Call
from tests.support.provider_wire import (
    Receive,
    Scope,
    Send,
    TellingProtocol,
    send_bytes,
    send_half,
    send_head,
    send_json,
    send_wrongly,
)

_BACKLOG = 4096
_KEEP_ALIVE_SECONDS = 600  # a client that reuses a connection must not meet its end
_FOREVER_SECONDS = 86_400.0
_LINGERING = WIRE - {"hang", "cut"}


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
                await send_json(send, models_body())
            case "PUT", "/script":
                await self._set_script(await _body(receive), send)
            case "GET", "/ledger":
                await send_json(send, [call.as_json() for call in self._asked_for(scope)])
            case "GET", "/ledger/count":
                await send_json(send, {"count": len(self._ledger)})
            case "DELETE", "/ledger":
                self._ledger.clear()
                await send_json(send, {"count": 0})
            case _:
                await send_json(send, error_body(404, "unknown_url"), status=404)

    async def _set_script(self, body: bytes, send: Send) -> None:
        try:
            self._script = Script(orjson.loads(body))
        except (ValueError, TypeError) as error:
            await send_json(send, {"error": str(error)}, status=400)
        else:
            await send_json(send, {})

    async def _complete(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            request: Json = orjson.loads(await _body(receive))
            message = _last_user_message(request)
            behaviour = self._script.behaviour(message)
        except (ValueError, TypeError, KeyError, AttributeError):
            await send_json(send, error_body(400), status=400)
            return
        call = self._record(scope, request, message)
        call.fault = behaviour.fault
        seconds = _FOREVER_SECONDS if behaviour.fault == "hang" else self._script.seconds(behaviour)
        if await _is_gone_within(seconds, receive):
            call.was_disconnected = True
            call.ended_at = time.time()
            return
        whole = answer(call.number, request, message, behaviour)
        if behaviour.fault in _LINGERING:
            await send_wrongly(scope, receive, send, call, orjson.dumps(whole.body()))
            call.ended_at = time.time()
            return
        call.status = behaviour.status
        call.ended_at = time.time()
        _note_usage(call, whole)
        await _answer(send, request, behaviour, whole)

    def _asked_for(self, scope: Scope) -> Iterable[Call]:
        """A part of a long ledger, because the whole is slow to send."""
        words = dict(parse_qsl(scope["query_string"].decode()))
        if "running_at" in words:
            at = float(words["running_at"])
            return (call for call in self._ledger if call.ran_at(at))
        after = int(words.get("after", 0))
        return (call for call in self._ledger if call.number > after)

    def _record(self, scope: Scope, request: Json, message: str) -> Call:
        self._arrivals += 1
        key = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        parameters = {name: value for name, value in request.items() if name != "messages"}
        call = Call(self._arrivals, message, key.decode("latin-1")[-4:], parameters)
        call.has_cookie = any(name == b"cookie" for name, _ in scope["headers"])
        self._ledger.append(call)
        return call


async def _answer(send: Send, request: Json, behaviour: Behaviour, whole: Answer) -> None:
    if behaviour.status >= 300:
        body = error_body(behaviour.status, behaviour.code)
        await send_json(send, body, status=behaviour.status, headers=_error_headers(behaviour))
    elif behaviour.status != 200:
        await send_head(send, behaviour.status, {})
        await send({"type": "http.response.body", "body": b""})
    elif request.get("stream"):
        await _send_stream(send, request, behaviour, whole)
    else:
        await _send_whole(send, behaviour, whole)


def _note_usage(call: Call, whole: Answer) -> None:
    """Of a served call."""
    if not call.was_served:
        return
    call.answered_model, usage = whole.model, whole.usage
    if not call.fault:
        call.total_tokens = usage["total_tokens"]
        call.prompt_tokens, call.completion_tokens = usage["prompt_tokens"], usage["completion_tokens"]
        call.cached_tokens = usage["prompt_tokens_details"]["cached_tokens"]


def _error_headers(behaviour: Behaviour) -> dict[str, str]:
    if behaviour.status < 400:
        return {"location": "/v1/chat/completions"}
    if behaviour.retry_after is not None:
        return {"retry-after": behaviour.retry_after}
    if behaviour.retry_date is not None:
        date = datetime.now(UTC) + timedelta(seconds=behaviour.retry_date)
        return {"retry-after": format_datetime(date, usegmt=True)}
    return {}


async def _send_whole(send: Send, behaviour: Behaviour, whole: Answer) -> None:
    shape = SHAPES.get(behaviour.fault)
    answer = recorded(behaviour.recorded)["answer"] if behaviour.recorded else whole.body()
    body = orjson.dumps(shape(answer) if shape else answer)
    if behaviour.fault == "cut":
        await send_half(send, body)
    elif behaviour.fault in BYTES:
        wrong, headers = BYTES[behaviour.fault](body)
        await send_bytes(send, wrong, headers=headers)
    else:
        await send_bytes(send, body)


async def _send_stream(send: Send, request: Json, behaviour: Behaviour, whole: Answer) -> None:
    has_usage = bool((request.get("stream_options") or {}).get("include_usage"))
    usual = whole.chunks(has_usage=has_usage)
    chunks = recorded(behaviour.recorded)["chunks"] if behaviour.recorded else usual
    events = [b"data: %s\n\n" % orjson.dumps(chunk) for chunk in chunks]
    events.append(b"data: [DONE]\n\n")
    middle, is_cut = len(events) // 2, behaviour.fault == "cut"
    if behaviour.fault == "malformed":
        events[middle] = b'data: {"id": "chatcmpl-\n\n'
    await send_head(send, 200, {"content-type": "text/event-stream"})
    for event in events[: middle if is_cut else None]:
        await send({"type": "http.response.body", "body": event, "more_body": True})
        if behaviour.token_ms:
            await asyncio.sleep(behaviour.token_ms / 1000)
    if not is_cut:
        await send({"type": "http.response.body", "body": b""})


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
            http=TellingProtocol,
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
