"""The bare sketch: our path with none of the promises; `python -m tests.bench.peers.sketch gateway|worker`.

A bare ASGI app, a Kafka record, one aiohttp call, one Redis trip, a word on a channel: about the least that
this path can cost in Python. It checks nothing, claims nothing, repeats nothing and forgets all when it dies.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import aiohttp
import orjson
import uvicorn
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from redis.asyncio import Redis

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_KAFKA, _REDIS = os.environ.get("SKETCH_KAFKA", ""), os.environ.get("SKETCH_REDIS", "")
_TOPIC, _PROVIDER = os.environ.get("SKETCH_TOPIC", ""), os.environ.get("SKETCH_PROVIDER", "")
_RUNNING = 512
_KEPT_SECONDS = 60
_ID_BYTES = 32
_PATIENCE_SECONDS = 60


class Gateway:
    """Every answer of every worker comes over one channel; the first bytes say whose it is."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, asyncio.Future[bytes]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            body = b""
            while (message := await receive()).get("more_body"):
                body += message["body"]
            await _answer(await self._ask(body + message["body"]), send)

    async def _ask(self, body: bytes) -> bytes:
        request_id = uuid4().hex.encode()
        self._waiting[request_id] = asyncio.get_running_loop().create_future()
        await self._producer.send(_TOPIC, body, key=request_id)
        return await asyncio.wait_for(self._waiting[request_id], _PATIENCE_SECONDS)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._producer = AIOKafkaProducer(bootstrap_servers=_KAFKA, acks=1)
        await self._producer.start()
        redis = Redis.from_url(_REDIS)
        listening = asyncio.create_task(self._listen(redis))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        listening.cancel()
        await self._producer.stop()
        await redis.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    async def _listen(self, redis: Redis) -> None:
        channel = redis.pubsub(ignore_subscribe_messages=True)
        await channel.subscribe(_TOPIC)
        async for message in channel.listen():
            waiting = self._waiting.pop(message["data"][:_ID_BYTES], None)
            if waiting is not None and not waiting.done():
                waiting.set_result(message["data"][_ID_BYTES:])


async def _answer(body: bytes, send: Send) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Worker:
    """All results that are ready at the same moment go to Redis in one trip."""

    def __init__(self, redis: Redis, http: aiohttp.ClientSession) -> None:
        self._redis, self._http = redis, http
        self._free = asyncio.Semaphore(_RUNNING)
        self._done: list[tuple[bytes, bytes]] = []
        self._is_done = asyncio.Event()

    async def run(self) -> None:
        tasks = {asyncio.create_task(self._store_forever())}
        consumer = AIOKafkaConsumer(_TOPIC, bootstrap_servers=_KAFKA, group_id=_TOPIC)
        await consumer.start()
        print("sketch_worker_ready", flush=True)
        async for record in consumer:
            await self._free.acquire()
            task = asyncio.create_task(self._call(record.key, record.value))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def _call(self, key: bytes, body: bytes) -> None:
        async with self._http.post(f"{_PROVIDER}/chat/completions", data=body) as response:
            answer = orjson.loads(await response.read())
        message = {"id": key.decode(), "choices": answer["choices"], "usage": answer["usage"]}
        self._done.append((key, orjson.dumps(message)))
        self._is_done.set()
        self._free.release()

    async def _store_forever(self) -> None:
        while await self._is_done.wait():
            self._is_done.clear()
            done, self._done = self._done, []
            pipeline = self._redis.pipeline(transaction=False)
            for key, answer in done:
                pipeline.set(b"sketch:" + key, answer, ex=_KEPT_SECONDS)
                pipeline.publish(_TOPIC, key + answer)
            await pipeline.execute()


async def _work() -> None:
    headers = {"authorization": "Bearer sk-bench", "content-type": "application/json"}
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        aiohttp.ClientSession(connector=connector, headers=headers) as http,
        Redis.from_url(_REDIS) as redis,
    ):
        await Worker(redis, http).run()


def main() -> None:
    if sys.argv[1] == "worker":
        uvloop.run(_work())
    else:
        port = int(os.environ["SKETCH_PORT"])
        uvicorn.run(Gateway(), host="127.0.0.1", port=port, access_log=False, log_level="error")


if __name__ == "__main__":
    main()
