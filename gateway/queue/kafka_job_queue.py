"""Jobs as records on Kafka."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from gateway.ports import QueueUnavailable
from shared.adapters.kafka_producer import is_reachable
from shared.domain.job import Job
from shared.domain.priority import lanes_of
from shared.send_faults import send_fault
from shared.wire import job_to_record

_ENQUEUE_SECONDS = 10.0


class KafkaJobQueue:
    """`JobQueue` whose acceptance is the acknowledgement of every in-sync replica."""

    def __init__(
        self,
        producer: AIOKafkaProducer,
        topic: str,
        source: str,
        *,
        seal: Callable[[Job], str] | None = None,
        enqueue_seconds: float = _ENQUEUE_SECONDS,
    ) -> None:
        self._producer = producer
        self._topics = lanes_of(topic)
        self._source = source
        self._seal = seal
        self._enqueue_seconds = enqueue_seconds

    async def enqueue(self, job: Job) -> None:
        if job.api_key is not None and self._seal is not None:
            job = replace(job, sealed_key=self._seal(job))
        key, value, headers = job_to_record(job, self._source)
        topic = self._topics[job.priority]
        try:
            async with asyncio.timeout(self._enqueue_seconds):
                await self._producer.send_and_wait(topic, value, key=key, headers=headers)
        except (KafkaError, TimeoutError) as fault:
            raise QueueUnavailable(
                f"Kafka did not acknowledge the job: {send_fault(fault, topic)}"
            ) from fault

    async def is_available(self) -> bool:
        return await is_reachable(self._producer)
