"""What every queue does with a job: the same text over the queue of one process and over each Kafka. Then
what only Kafka can do wrong."""

import asyncio
import dataclasses
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError
from loguru import logger
from pydantic import SecretStr

from gateway.ports import JobQueue, QueueUnavailable
from gateway.queue.inprocess_job_queue import InProcessJobQueue
from gateway.queue.kafka_job_queue import KafkaJobQueue
from shared.adapters.kafka_producer import connect_kafka_producer
from shared.adapters.kafka_topics import ensure_topics
from shared.domain.job import Job
from shared.wire import job_from_record, source_of
from tests.conftest import missing
from tests.contract.eventually import eventually
from tests.contract.examples import DEFAULTS, FULL_JOB, MINIMAL_JOB, some_job_id
from tests.support.apache_kafka import ApacheKafka
from tests.support.availability import Unavailable
from tests.support.kafka_brokers import find_apache_kafka, find_kafka_distribution
from tests.support.kafka_properties import QUICK_FENCING
from tests.support.noida_kafka import NoidaKafka
from tests.support.ports import free_port
from tests.support.processes import Child
from tests.support.running import RunningServers
from tests.support.server import AnyKafka

CANARY = "sk-canary-0123456789"
PARTITIONS = 3
ENQUEUE_SECONDS = 1.0
IN_TIME = 5.0
"""Seconds: the enqueue limit, and room for a busy machine."""


@dataclass(frozen=True)
class Route:
    """A queue, and what a worker sees on its other side."""

    queue: JobQueue
    arrived: Callable[[int], Awaitable[list[Job]]]


@pytest.fixture(params=["inprocess", "apache", "noida"])
async def route(request: pytest.FixtureRequest, servers: RunningServers) -> AsyncIterator[Route]:
    """Each queue in turn."""
    if request.param == "inprocess":
        queue = InProcessJobQueue()
        yield Route(queue, lambda count: asyncio.gather(*(queue.next() for _ in range(count))))
        return
    try:
        kafka = servers.get(find_apache_kafka if request.param == "apache" else NoidaKafka)
    except Unavailable as reason:
        missing(str(reason))
    async with kafka_queue(kafka) as (kafka_job_queue, topic):
        yield Route(kafka_job_queue, lambda count: jobs_on(kafka, topic, count))


# --- Every queue ---


def minimal_job() -> Job:
    return dataclasses.replace(MINIMAL_JOB, id=some_job_id())


def full_job() -> Job:
    return dataclasses.replace(FULL_JOB, id=some_job_id("somebody"))


@pytest.mark.parametrize("make_job", [minimal_job, full_job], ids=["minimal", "full"])
async def test_a_job_comes_out_as_it_went_in(route: Route, make_job: Callable[[], Job]) -> None:
    # Given a job
    job = make_job()
    # When it is enqueued
    await route.queue.enqueue(job)
    # Then the worker gets an equal one, the same question for every store
    [arrived] = await route.arrived(1)
    assert dataclasses.asdict(arrived) == dataclasses.asdict(job)
    assert arrived == job
    assert arrived.fingerprint == job.fingerprint


async def test_times_arrive_to_the_millisecond(route: Route) -> None:
    # Given a job that was made in the middle of a millisecond
    created_at = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    deadline = created_at + timedelta(seconds=1.0006)
    job = dataclasses.replace(minimal_job(), created_at=created_at, deadline=deadline)
    # When it went through the queue, then its times are off by less than one
    await route.queue.enqueue(job)
    [arrived] = await route.arrived(1)
    assert abs(arrived.created_at - job.created_at) < timedelta(milliseconds=1)
    assert abs(arrived.deadline - job.deadline) < timedelta(milliseconds=1)


async def test_jobs_of_one_id_come_out_in_the_order_they_went_in(route: Route) -> None:
    # Given a few ids, each sent several times in turns
    jobs = [minimal_job() for _ in range(4)]
    sent = [dataclasses.replace(job, metadata={"number": f"{number}"}) for number in range(8) for job in jobs]
    # When they are enqueued one after the other
    for job in sent:
        await route.queue.enqueue(job)
    # Then those of one id keep their order
    arrived = await route.arrived(len(sent))
    for job in jobs:
        mine = [other.metadata for other in arrived if other.id == job.id]
        assert mine == [{"number": f"{number}"} for number in range(8)]


async def test_jobs_enqueued_at_once_all_come_out(route: Route) -> None:
    # When many callers enqueue at once
    sent = [minimal_job() for _ in range(100)]
    await asyncio.gather(*(route.queue.enqueue(job) for job in sent))
    # Then every job comes out once
    arrived = await route.arrived(len(sent))
    assert sorted(job.id for job in arrived) == sorted(job.id for job in sent)


async def test_a_queue_with_room_is_available(route: Route) -> None:
    assert await route.queue.is_available()


# --- The queue of one process ---


async def test_a_full_queue_refuses_and_says_that_it_is_full() -> None:
    # Given a queue with room for one, which is taken
    queue = InProcessJobQueue(most_waiting=1)
    first = minimal_job()
    await queue.enqueue(first)
    # When another job comes, then it is refused as full
    assert not await queue.is_available()
    with pytest.raises(QueueUnavailable) as refused:
        await queue.enqueue(minimal_job())
    assert refused.value.is_full
    # And when the worker has made room, then there is some
    assert await queue.next() == first
    assert await queue.is_available()
    await queue.enqueue(minimal_job())
    assert len(queue) == 1


async def test_the_callers_key_reaches_the_worker_of_the_same_process() -> None:
    # In one process it travels in memory, or nobody could call the provider with it.
    queue = InProcessJobQueue()
    await queue.enqueue(job_with_key())
    assert (await queue.next()).api_key == SecretStr(CANARY)


# --- Kafka: the record ---


async def test_the_record_key_is_the_request_id_and_one_id_stays_on_one_partition(kafka: AnyKafka) -> None:
    # Given two ids
    jobs = [minimal_job(), minimal_job()]
    async with kafka_queue(kafka) as (queue, topic):
        # When each is enqueued several times
        for job in jobs * 5:
            await queue.enqueue(job)
        records = await records_on(kafka, topic, 10)
    # Then the key is the id, and all records of an id are on one partition
    partitions = defaultdict(set)
    for record in records:
        partitions[record.key].add(record.partition)
    assert set(partitions) == {job.id.request_id.encode() for job in jobs}
    assert all(len(numbers) == 1 for numbers in partitions.values())


async def test_the_callers_key_is_nowhere_in_the_record(kafka: AnyKafka) -> None:
    # Given a job with the caller's own key, and a way to seal it
    job = job_with_key()
    async with kafka_queue(kafka, seal=sealed_with) as (queue, topic):
        # When it is enqueued
        await queue.enqueue(job)
        [record] = await records_on(kafka, topic, 1)
    # Then neither the key nor a piece of it is in what Kafka keeps
    kept = b"\0".join([record.key, record.value, *(name.encode() + value for name, value in record.headers)])
    assert job.id.request_id.encode() in kept
    assert b"sk-" not in kept
    assert b"canary" not in kept
    assert b'"openai_api_key"' not in kept
    assert sealed_with(job).encode() in record.value


def sealed_with(job: Job) -> str:
    return f"sealed.for.{job.id.request_id}"


def job_with_key() -> Job:
    return dataclasses.replace(minimal_job(), api_key=SecretStr(CANARY))


# --- Kafka away ---


async def test_a_frozen_broker_is_said_within_the_limit_and_is_used_again_when_it_thaws(
    kafka: AnyKafka,
) -> None:
    # Given a queue in use
    async with kafka_queue(kafka) as (queue, topic):
        before, refused, after = minimal_job(), minimal_job(), minimal_job()
        await queue.enqueue(before)
        # When the broker keeps its connections and answers nothing, then that is said in time
        with frozen(kafka):
            await expect_unavailable(queue, refused)
        # And when it answers again, then jobs are accepted again, by the same queue
        await eventually(queue.is_available)
        await eventually(lambda: was_accepted(queue, after))
        # And what was accepted is there; what was refused may be there too, for nobody can call it back
        await expect_accepted(kafka, topic, [before, after])


async def test_a_killed_broker_is_said_within_the_limit_and_is_used_again_when_it_is_back() -> None:
    # Given a queue in use
    try:
        own_kafka = ApacheKafka(find_kafka_distribution(), properties=QUICK_FENCING)
    except Unavailable as reason:
        missing(str(reason))
    with own_kafka:
        async with kafka_queue(own_kafka) as (queue, topic):
            before, after = minimal_job(), minimal_job()
            await queue.enqueue(before)
            # When the broker is killed, then that is said in time, more than once
            own_kafka.kill_node()
            await expect_unavailable(queue, minimal_job())
            await expect_unavailable(queue, minimal_job())
            # And when it is back, then jobs are accepted again, by the same queue
            await asyncio.to_thread(own_kafka.start_node)
            await eventually(lambda: was_accepted(queue, after), within_seconds=30)
            assert await queue.is_available()
            await expect_accepted(own_kafka, topic, [before, after])


async def expect_unavailable(queue: KafkaJobQueue, job: Job) -> None:
    async with asyncio.timeout(IN_TIME):
        with pytest.raises(QueueUnavailable) as refused:
            await queue.enqueue(job)
        assert not refused.value.is_full
        assert not await queue.is_available()


async def was_accepted(queue: KafkaJobQueue, job: Job) -> bool:
    try:
        await queue.enqueue(job)
    except QueueUnavailable:
        return False
    return True


async def expect_accepted(kafka: AnyKafka, topic: str, accepted: list[Job]) -> None:
    wanted = {job.id.request_id.encode() for job in accepted}
    async with consumer_of(kafka, topic) as consumer, asyncio.timeout(30):
        while wanted:
            wanted.discard((await consumer.getone()).key)


@contextmanager
def frozen(kafka: AnyKafka) -> Iterator[None]:
    child = child_of(kafka)
    child.pause()
    try:
        yield
    finally:
        child.resume()


def child_of(kafka: AnyKafka) -> Child:
    if isinstance(kafka, ApacheKafka):
        return kafka.child()
    if isinstance(kafka, NoidaKafka) and kafka.child is not None:
        return kafka.child
    pytest.skip(f"{kafka.name} cannot be frozen from here")


# --- The topics ---


async def test_missing_topics_are_made_with_the_configured_partitions(kafka: AnyKafka) -> None:
    # Given topics that nobody made
    topics = [new_topic(), new_topic()]
    # When a service starts
    await ensure_topics(kafka.bootstrap_servers, topics, partitions=5, replication_factor=1)
    # Then they are there, with the partitions that it was told
    assert await partitions_of(kafka, topics) == [5, 5]


async def test_an_existing_topic_keeps_its_partitions_and_its_records(kafka: AnyKafka) -> None:
    # Given a topic in use
    async with kafka_queue(kafka) as (queue, topic):
        job, new = minimal_job(), new_topic()
        await queue.enqueue(job)
        # When a service starts that is configured differently
        await ensure_topics(kafka.bootstrap_servers, [topic, new], partitions=7, replication_factor=1)
        # Then the topic is as it was, and the missing one beside it is made
        assert await partitions_of(kafka, [topic, new]) == [PARTITIONS, 7]
        assert await jobs_on(kafka, topic, 1) == [job]


async def test_services_that_start_at_once_make_the_topics_once(kafka: AnyKafka) -> None:
    # When several services start at once
    topic = new_topic()
    await asyncio.gather(
        *(
            ensure_topics(kafka.bootstrap_servers, [topic], partitions=2, replication_factor=1)
            for _ in range(4)
        )
    )
    # Then none of them fails
    assert await partitions_of(kafka, [topic]) == [2]


async def test_a_broker_that_is_not_up_yet_is_waited_for() -> None:
    # Given a service that starts before its broker
    try:
        kafka = NoidaKafka()
    except Unavailable as reason:
        missing(str(reason))
    topic, complaints = new_topic(), asyncio.Queue[str]()
    handler = logger.add(lambda message: complaints.put_nowait(message.record["message"]))
    try:
        making = asyncio.create_task(
            ensure_topics(kafka.bootstrap_servers, [topic], partitions=2, replication_factor=1)
        )
        # When the service has tried in vain, and the broker comes up
        async with asyncio.timeout(15):
            assert await complaints.get() == "kafka_not_ready"
            with kafka:
                # Then the topic is made
                await making
                assert await partitions_of(kafka, [topic]) == [2]
    finally:
        logger.remove(handler)


async def test_a_broker_that_never_comes_up_is_an_error_when_patience_ends() -> None:
    with pytest.raises(KafkaConnectionError):
        await ensure_topics(
            f"127.0.0.1:{free_port()}", [new_topic()], partitions=1, replication_factor=1, patience_seconds=0
        )


# --- The steps that tests make ---


def new_topic() -> str:
    return f"llm-requests-{uuid4()}"


@asynccontextmanager
async def kafka_queue(
    kafka: AnyKafka, seal: Callable[[Job], str] | None = None
) -> AsyncIterator[tuple[KafkaJobQueue, str]]:
    """A queue over a topic of its own."""
    topic = new_topic()
    await ensure_topics(kafka.bootstrap_servers, [topic], partitions=PARTITIONS, replication_factor=1)
    producer: AIOKafkaProducer
    async with connect_kafka_producer(kafka.bootstrap_servers, "test") as producer:
        source = source_of("test", "gateway")
        yield KafkaJobQueue(producer, topic, source, seal=seal, enqueue_seconds=ENQUEUE_SECONDS), topic


async def jobs_on(kafka: AnyKafka, topic: str, count: int) -> list[Job]:
    return [
        job_from_record(record.value, record.headers, record.timestamp, DEFAULTS)
        for record in await records_on(kafka, topic, count)
    ]


async def records_on(kafka: AnyKafka, topic: str, count: int) -> list[Any]:
    """The first `count` records, in the order of each partition; more than that would be a surprise."""
    async with consumer_of(kafka, topic) as consumer, asyncio.timeout(30):
        records = [await consumer.getone() for _ in range(count)]
        ends = await consumer.end_offsets(consumer.assignment())
    assert sum(ends.values()) == count
    return records


def consumer_of(kafka: AnyKafka, topic: str) -> AIOKafkaConsumer:
    """A plain one, without a group: it reads every partition from the start."""
    return AIOKafkaConsumer(topic, bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest")


async def partitions_of(kafka: AnyKafka, topics: list[str]) -> list[int]:
    """As the broker tells them, once it knows them all."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        described = await eventually(
            lambda: admin.describe_topics(topics),
            lambda answers: all(answer["error_code"] == 0 for answer in answers),
        )
    finally:
        await admin.close()
    found = {answer["topic"]: len(answer["partitions"]) for answer in described}
    return [found[topic] for topic in topics]
