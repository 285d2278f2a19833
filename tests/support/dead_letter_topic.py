"""A dead letter topic with letters on it, and the command of the operator, run as a program."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.adapters.kafka_producer import connect_kafka_producer
from shared.adapters.kafka_topics import ensure_topics
from shared.domain.errors import ErrorCode, JobError, job_error
from tests.support.service_processes import clean_environment
from worker.dead_letters import KafkaDeadLetters


@dataclass(frozen=True)
class Finished:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        return [orjson.loads(line) for line in self.out.splitlines()]


@dataclass
class DeadRecord:
    """A record that dies."""

    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes | None]] = ()
    topic: str = "elsewhere"
    partition: int = 7
    offset: int = 42
    timestamp: int = 0


@dataclass
class DeadLetterScene:
    """Topics of its own; every record dies on partition 0 unless its key says otherwise."""

    brokers: str
    folder: Path
    requests: str = field(default_factory=lambda: f"requests-{uuid4().hex[:8]}")

    @property
    def dead_letters(self) -> str:
        return f"{self.requests}.dlq"

    async def create(self, partitions: int = 1) -> None:
        await ensure_topics(self.brokers, self.topics, partitions=partitions, replication_factor=1)

    @property
    def topics(self) -> tuple[str, str]:
        return self.requests, self.dead_letters

    async def bury(
        self,
        value: bytes | None = b"no json",
        code: ErrorCode = ErrorCode.INVALID_JSON,
        message: str = "it is wrong",
        **record: Any,
    ) -> None:
        dead = DeadRecord(value, topic=record.pop("topic", self.requests), **record)
        await self._bury([dead], job_error(code, message))

    async def bury_many(self, count: int) -> None:
        """Each with its number as its key."""
        dead = [DeadRecord(b"no json", str(number).encode()) for number in range(count)]
        await self._bury(dead, job_error(ErrorCode.INVALID_JSON, "it is wrong"))

    async def _bury(self, records: Sequence[DeadRecord], error: JobError) -> None:
        async with connect_kafka_producer(self.brokers, "test") as producer:
            letters = KafkaDeadLetters(producer, self.dead_letters)
            for record in records:
                await letters.bury(record, error)  # type: ignore[arg-type] # a header may be null

    async def records(self, topic: str) -> list[Any]:
        """All that stand on a topic now."""
        found: list[Any] = []
        async with AIOKafkaConsumer(topic, bootstrap_servers=self.brokers, auto_offset_reset="earliest") as c:
            for partition in [TopicPartition(topic, p) for p in c.partitions_for_topic(topic)]:
                end = (await c.end_offsets([partition]))[partition]
                while await c.position(partition) < end:
                    found += (await c.getmany(partition, timeout_ms=200)).get(partition, [])
        return found

    async def run(self, *arguments: str, **settings: str) -> Finished:
        """`python -m worker.dead_letters`, with brokers and topics in the environment and no provider key."""
        own = {
            "KAFKA_BOOTSTRAP_SERVERS": self.brokers,
            "KAFKA_REQUEST_TOPIC": self.requests,
            "KAFKA_DEAD_LETTER_TOPIC": self.dead_letters,
        }
        return await run_dead_letters(*arguments, folder=self.folder, settings=own | settings)


async def run_dead_letters(*arguments: str, folder: Path, settings: Mapping[str, str]) -> Finished:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "worker.dead_letters",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=clean_environment(**settings),
        cwd=folder,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    assert b"Traceback" not in err, err.decode()
    return Finished(process.returncode, out.decode(), err.decode())
