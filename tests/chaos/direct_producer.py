"""A program that puts jobs on the request topic itself, past every gateway."""

import time
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from tests.chaos.offered_job import Answer, OfferedJob


def body_to_offer(job: OfferedJob) -> dict[str, Any]:
    """The body of /invoke, which is also the value of a record."""
    body: dict[str, Any] = {"request_id": job.request_id, "user_prompt": job.prompt}
    if job.on_unknown != "retry":
        body["on_unknown"] = job.on_unknown
    if job.deadline_seconds is not None:
        body["deadline_seconds"] = job.deadline_seconds
    return body


class DirectProducer:
    """The broker's acknowledgement is the acceptance."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self._topic = topic
        self._producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all")

    async def send(self, job: OfferedJob) -> Answer | None:
        headers = _headers(job) if job.has_headers else []
        try:
            await self._producer.send_and_wait(
                self._topic, orjson.dumps(body_to_offer(job)), key=job.request_id.encode(), headers=headers
            )
        except KafkaError:
            return None
        return Answer(202, b"", time.time())

    async def __aenter__(self) -> Self:
        await self._producer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._producer.stop()


def _headers(job: OfferedJob) -> list[tuple[str, bytes]]:
    created_at = datetime.now(UTC)
    headers = {
        "ce_specversion": "1.0",
        "ce_id": job.request_id,
        "ce_type": "llm.request.v1",
        "ce_source": "/chaos",
        "ce_time": created_at.isoformat(),
    }
    if job.deadline_seconds is not None:
        headers["ce_expirytime"] = (created_at + timedelta(seconds=job.deadline_seconds)).isoformat()
    return [(name, value.encode()) for name, value in headers.items()]
