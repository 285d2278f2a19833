"""The provider in Python, where the C one cannot be compiled; it takes the same two words.

It only echoes, at once or later; everything else is the scripted provider's.
"""

import argparse
import asyncio
from itertools import count
from typing import cast

import orjson
import uvloop

_END_OF_HEAD = b"\r\n\r\n"
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
_BODY = (
    b'{"id":"chatcmpl-%d","object":"chat.completion","created":1700000000,"model":%b,"choices":[{"index":0,'
    b'"message":{"role":"assistant","content":%b,"refusal":null,"annotations":[]},"logprobs":null,'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":32,"completion_tokens":32,"total_tokens":64,'
    b'"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":'
    b'{"reasoning_tokens":0,"audio_tokens":0}},"service_tier":"default","system_fingerprint":"fp_bench"}'
)
_numbers = count(1)


class PythonProvider(asyncio.Protocol):
    """One connection of a client that sends a request and waits for its answer."""

    def __init__(self, delay_seconds: float) -> None:
        self._delay_seconds = delay_seconds
        self._transport: asyncio.WriteTransport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's own class is not one

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end_of_head, body = self._received.partition(_END_OF_HEAD)
        if end_of_head and len(body) >= _content_length(head) and self._transport:
            self._received = b""
            answer = _answer(body)
            self._write_later(_HEAD % len(answer) + answer)

    def _write_later(self, answer: bytes) -> None:
        assert self._transport is not None
        if self._delay_seconds:
            asyncio.get_running_loop().call_later(self._delay_seconds, self._transport.write, answer)
        else:
            self._transport.write(answer)


def _content_length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"content-length:")
    return int(rest.split(b"\r\n", 1)[0])


def _answer(body: bytes) -> bytes:
    request = orjson.loads(body)
    content = "echo: " + request["messages"][-1]["content"]
    return _BODY % (next(_numbers), orjson.dumps(request["model"]), orjson.dumps(content))


async def _serve(port: int, delay_seconds: float) -> None:
    server = await asyncio.get_running_loop().create_server(
        lambda: PythonProvider(delay_seconds), "127.0.0.1", port, backlog=4096
    )
    print(f"listening on http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int, help="0: any free one")
    parser.add_argument("delay_ms", type=float)
    words = parser.parse_args()
    uvloop.run(_serve(words.port, words.delay_ms / 1000))


if __name__ == "__main__":
    main()
