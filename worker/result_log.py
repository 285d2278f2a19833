"""The second durable copy of every result: `llm-results`."""

import asyncio

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from loguru import logger

from shared.domain.job import JobId
from shared.domain.result import Failed, Succeeded
from shared.ports import ResultLogUnavailable, Run
from shared.send_faults import send_fault
from shared.wire import result_to_record
from worker.logged_results import LoggedResults
from worker.ports import ResultReader

_SEND_SECONDS = 10.0


class KafkaResultLog:
    """`ResultLog` whose copy is kept when every replica in sync has it."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, source: str, reader: ResultReader) -> None:
        self._producer = producer
        self._topic = topic
        self._source = source
        self._logged = LoggedResults(reader)

    async def append(self, run: Run, result: Succeeded | Failed) -> None:
        key, value, headers = result_to_record(run, result, self._source)
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                await self._producer.send_and_wait(self._topic, value, key=key, headers=headers)
        except MessageSizeTooLargeError:
            # Trying again would hold its partition for ever; the store has the result.
            logger.bind(**run.id._asdict(), bytes=len(value)).error("result_too_large_for_log")
        except (KafkaError, TimeoutError) as fault:
            raise ResultLogUnavailable(send_fault(fault, self._topic)) from fault

    async def has_ended(self, job_id: JobId, since: float) -> bool:
        return await self._logged.has_ended(job_id, since)


class NoResultLog:
    """`ResultLog` of one process: nobody else could read a copy, and nothing outlives the store."""

    async def append(self, run: Run, result: Succeeded | Failed) -> None:
        pass

    async def has_ended(self, job_id: JobId, since: float) -> bool:
        return False
