"""The callers: over HTTP, on the topic, and back for the answer, whichever gateway is there."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from tests.chaos.agreement.questions import Question
from tests.chaos.offered_job import ENDED

_PAUSE_SECONDS = 0.3
_CANCEL_AFTER_SECONDS = 0.5
_GIVE_UP_SECONDS = 60.0
_ANSWER_SECONDS = 30.0

Body = dict[str, Any]


class Asking:
    """Everybody's questions, and the last answer of each."""

    def __init__(
        self,
        urls: Sequence[str],
        producer: AIOKafkaProducer | None,
        request_topic: str,
        *,
        comes_back: bool = True,
    ) -> None:
        self._comes_back = comes_back
        """Whether who is refused, or hears nothing, asks again under the same id."""
        self._urls = [*urls]
        self._turn = 0
        self._under_way: Counter[str] = Counter()
        self._producer = producer
        self._topic = request_topic
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=2)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
        )
        self.answers: dict[str, Body] = {}
        self.refused: Counter[int] = Counter()
        """Offers, by the status that refused them; 0: there was no answer."""
        self.offered = 0
        self.accepted: set[str] = set()
        self.ended_at: dict[str, float] = {}

    def turn_to(self, url: str) -> None:
        self._urls.append(url)

    async def turn_from(self, url: str) -> None:
        """Return when nothing is asked there any more, as a load balancer does before a stop."""
        self._urls.remove(url)
        while self._under_way[url]:
            await asyncio.sleep(_PAUSE_SECONDS / 10)

    async def ask_all(self, questions: Sequence[Question], a_second: float) -> None:
        """Open loop; returns when the last one has its end."""
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        async with asyncio.TaskGroup() as group:
            for number, question in enumerate(questions):
                await asyncio.sleep(max(0.0, started_at + number / a_second - loop.time()))
                group.create_task(self.ask(question))

    async def ask(self, question: Question) -> None:
        """To its end, and what its caller does besides."""
        self.offered += 1
        offers = 2 if question.then == "twin" else 1
        taken = await asyncio.gather(*(self._offer(question) for _ in range(offers)))
        if not any(taken):
            return
        self.accepted.add(question.request_id)
        if question.then == "cancel":
            await asyncio.sleep(_CANCEL_AFTER_SECONDS)
            await self._request("POST", f"/result/{question.request_id}/cancel")
        await self._read_end(question)
        if question.then in ("replay", "ask again"):
            await self._offer(question)
            await self._read_end(question)

    async def _offer(self, question: Question) -> bool:
        give_up_at = time.monotonic() + _GIVE_UP_SECONDS
        while not await self._offer_once(question):
            if not self._comes_back or time.monotonic() > give_up_at:
                return False
            await asyncio.sleep(_PAUSE_SECONDS)
        return True

    async def _offer_once(self, question: Question) -> bool:
        body = {**question.body, "request_id": question.request_id}
        if question.is_direct:
            return await self._produce(body)
        status, told = await self._request("POST", "/submit", json=body)
        is_taken = status in (200, 202) or told.get("status") in ENDED  # quick enough to have failed already
        if not is_taken:
            self.refused[status] += 1
        return is_taken

    async def _produce(self, body: Body) -> bool:
        assert self._producer, "no producer for a direct job"
        key = body["request_id"].encode()
        try:
            await self._producer.send_and_wait(self._topic, orjson.dumps(body), key=key)
        except KafkaError:
            self.refused[0] += 1
            return False
        return True

    async def _read_end(self, question: Question) -> None:
        give_up_at = time.monotonic() + _GIVE_UP_SECONDS
        path = f"/result/{question.request_id}?wait=20"
        while time.monotonic() < give_up_at:
            status, body = await self._request("GET", path)
            if status == 200 and body.get("status") in ENDED:
                self.answers[question.request_id] = body
                self.ended_at[question.request_id] = time.time()
                return
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _request(self, method: str, path: str, **more: Any) -> tuple[int, Body]:
        """Status 0: the gateway did not answer."""
        self._turn += 1
        url = self._urls[self._turn % len(self._urls)]
        self._under_way[url] += 1
        try:
            async with self._session.request(method, url + path, **more) as response:
                return response.status, orjson.loads(await response.read())
        except (aiohttp.ClientError, TimeoutError, orjson.JSONDecodeError):
            return 0, {}
        finally:
            self._under_way[url] -= 1

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()
