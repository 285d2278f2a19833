"""The log of results, read from an instant on."""

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer

from shared.adapters.kafka_producer import connect_kafka_producer
from shared.adapters.kafka_result_reader import KafkaResultReader, Told
from shared.adapters.kafka_topics import ensure_topics
from shared.domain.job import JobId
from tests.contract.examples import run_of, some_job_id, success_of
from tests.support.server import AnyKafka
from worker.result_log import KafkaResultLog


@pytest.fixture
async def topic(kafka: AnyKafka) -> str:
    topic = f"results-{uuid4().hex}"
    await ensure_topics(kafka.bootstrap_servers, [topic], partitions=3, replication_factor=1)
    return topic


@pytest.fixture
async def producer(kafka: AnyKafka) -> AsyncIterator[AIOKafkaProducer]:
    async with connect_kafka_producer(kafka.bootstrap_servers, "tests") as producer:
        yield producer


def log_of(producer: AIOKafkaProducer, topic: str, servers: str = "") -> KafkaResultLog:
    return KafkaResultLog(producer, topic, "tests", KafkaResultReader(servers, topic, "tests"))


async def append(producer: AIOKafkaProducer, topic: str) -> JobId:
    run = run_of(some_job_id())
    await log_of(producer, topic).append(run, success_of(run.id))
    return run.id


async def collect(told: AsyncIterator[Told], count: int) -> set[JobId]:
    found: set[JobId] = set()
    async with asyncio.timeout(30):
        async for batch in told:
            found |= {run.id for run, _ in batch}
            if len(found) >= count:
                break
    return found


async def test_everything_since_an_instant_is_read_to_the_end(
    kafka: AnyKafka, topic: str, producer: AIOKafkaProducer
) -> None:
    reader = KafkaResultReader(kafka.bootstrap_servers, topic, "tests")
    # Given results, and what is no result between them
    logged = {await append(producer, topic) for _ in range(20)}
    await producer.send_and_wait(topic, b"something else", key=b"x")
    # When the log is read, then all of it is told, and reading ends
    assert {run.id async for batch in reader.read(0) for run, _ in batch} == logged
    # And from the future on there is nothing
    assert [batch async for batch in reader.read(time.time() + 3600)] == []


async def test_a_result_that_is_too_large_for_a_record_holds_nobody_up(
    kafka: AnyKafka, topic: str, producer: AIOKafkaProducer
) -> None:
    # Given a result that Kafka will never take
    run = run_of(some_job_id())
    await log_of(producer, topic).append(run, success_of(run.id, "x" * 3_000_000))
    # Then the log goes on without it
    following = await append(producer, topic)
    reader = KafkaResultReader(kafka.bootstrap_servers, topic, "tests")
    assert {run.id async for batch in reader.read(0) for run, _ in batch} == {following}


async def test_an_empty_log_ends_at_once(kafka: AnyKafka, topic: str) -> None:
    reader = KafkaResultReader(kafka.bootstrap_servers, topic, "tests")
    assert [batch async for batch in reader.read(0)] == []


async def test_who_follows_misses_nothing_that_comes_while_it_starts(
    kafka: AnyKafka, topic: str, producer: AIOKafkaProducer
) -> None:
    reader = KafkaResultReader(kafka.bootstrap_servers, topic, "tests")
    since = time.time() - 5
    # Given results that are logged all the time while one begins to follow
    following = asyncio.create_task(collect(reader.follow(since), 60))
    logged = {await append(producer, topic) for _ in range(60)}
    assert await following == logged


async def test_the_log_knows_who_has_ended(kafka: AnyKafka, topic: str, producer: AIOKafkaProducer) -> None:
    asked_from = time.time()
    ended = await append(producer, topic)
    log = log_of(producer, topic, kafka.bootstrap_servers)
    assert await log.has_ended(ended, asked_from)
    assert not await log.has_ended(some_job_id(), asked_from)
    assert not await log.has_ended(ended, asked_from + 3600), "a result from before is another request's"
