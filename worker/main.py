"""The worker wired: settings to adapters to processor to subscription."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

from aiokafka import AIOKafkaProducer

from shared.adapters.fallback_result_store import FallbackResultStore, fall_back_to_memory
from shared.adapters.job_limits import redis_limits
from shared.adapters.kafka_event_sink import KafkaEventSink
from shared.adapters.kafka_producer import connect_kafka_producer, is_reachable
from shared.adapters.kafka_refusal import hear_refusals_alone
from shared.adapters.kafka_result_reader import KafkaResultReader
from shared.adapters.memory_result_store import MemoryResultStore
from shared.adapters.redis_answer_streams import RedisAnswerStreams
from shared.adapters.redis_queue_loads import RedisQueueLoads
from shared.adapters.redis_replicas import RedisReplicas
from shared.adapters.redis_response_cache import RedisResponseCache
from shared.adapters.redis_result_store import RedisResultStore, connect_redis_result_store
from shared.background import in_background
from shared.key_file import KeyFile
from shared.ports import EventSink
from shared.replica_telling import told_of
from shared.telemetry.process_metrics import BUILD, IsUp, watch_dependencies
from shared.telemetry.tracing import Tracing
from shared.wire import source_of
from worker.consuming import consume, lanes_in, limits_in
from worker.dead_letters import KafkaDeadLetters
from worker.dispatcher import ONE_LANE, Dispatcher, Handle, Lanes
from worker.events import connect_events
from worker.health import serve_health
from worker.keys.caller_keys import CallerKeys
from worker.load_report import LoadReport
from worker.metrics import MeteredEvents
from worker.processor import connect_llm, connect_processor, connect_stand_in
from worker.redis_store_condition import RedisStoreCondition
from worker.replica import OwnReport
from worker.result_log import KafkaResultLog
from worker.result_restorer import restore_in_background
from worker.service import JobProcessor
from worker.settings import WorkerSettings
from worker.slots import Slots
from worker.subscriber import RecordHandler
from worker.topics import ensure_all_topics
from worker.traced_events import TracedEvents
from worker.traced_jobs import TracedJobs
from worker.traced_records import TracedRecords


async def run(
    settings: WorkerSettings, key_file: KeyFile | None = None, tracing: Tracing | None = None
) -> None:
    """Work until SIGTERM or SIGINT."""
    # What the client library says while a broker is away, our own lines say once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    stop = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    await ensure_all_topics(settings)
    hear_refusals_alone(settings.kafka_security())
    slots = Slots(settings.worker_concurrency, settings.priority_weights())
    async with (
        _connect(settings, tracing) as world,
        _connect_processor(settings, world, slots, tracing) as processor,
    ):
        handler = _handler(settings, world, processor, key_file, tracing)
        lanes = lanes_in(settings)
        handle = _handle(handler, tracing, settings.kafka_consumer_group, lanes)
        dispatcher = Dispatcher(handle, limits_in(settings), slots, settled=world.sink.settled, lanes=lanes)
        loads = RedisQueueLoads(world.redis.batches, settings.kafka_request_topic)
        report = LoadReport(dispatcher, processor.meter, partial(loads.tell, uuid4().hex))
        own = OwnReport(settings, processor.meter, report, stop)
        async with _watched(settings, world), told_of(world.replicas(settings), own):
            await consume(settings, dispatcher, handler, report, stop)


@dataclass(frozen=True, slots=True)
class _World:
    """What a worker has of the world outside."""

    redis: RedisResultStore
    store: FallbackResultStore
    producer: AIOKafkaProducer
    sink: KafkaEventSink
    events: EventSink
    reader: KafkaResultReader

    def replicas(self, settings: WorkerSettings) -> RedisReplicas:
        return RedisReplicas(self.redis.batches, settings.kafka_request_topic)


@asynccontextmanager
async def _connect(settings: WorkerSettings, tracing: Tracing | None) -> AsyncIterator[_World]:
    security = settings.kafka_security()
    async with (
        connect_redis_result_store(
            settings.redis_address(),
            max_connections=settings.redis_max_connections,
            retention=settings.retention(),
        ) as redis,
        fall_back_to_memory(redis, MemoryResultStore(settings.retention())) as store,
        connect_kafka_producer(settings.kafka_bootstrap_servers, settings.llm_app_name, security) as producer,
        connect_events(settings, producer) as sink,
    ):
        events: EventSink = sink if tracing is None else TracedEvents(sink, tracing)
        reader = KafkaResultReader(
            settings.kafka_bootstrap_servers, settings.kafka_result_topic, settings.llm_app_name, security
        )
        yield _World(redis, store, producer, sink, events, reader)


@asynccontextmanager
async def _connect_processor(
    settings: WorkerSettings, world: _World, slots: Slots, tracing: Tracing | None
) -> AsyncIterator[JobProcessor]:
    """With what is missing in Redis restored beside it."""
    redis, source = world.redis, source_of(settings.llm_app_name, "worker")
    log = KafkaResultLog(world.producer, settings.kafka_result_topic, source, world.reader)
    limits = redis_limits(
        settings.limit_table(), settings.own_prices(), redis, world.store.is_available, None
    )
    condition = RedisStoreCondition(redis.batches, settings.kafka_result_topic)
    async with AsyncExitStack() as stack:
        llm = await stack.enter_async_context(connect_llm(settings, tracing))
        stand_in = await stack.enter_async_context(connect_stand_in(settings, tracing))
        processor = await stack.enter_async_context(
            connect_processor(
                settings,
                world.store,
                log,
                world.events,
                llm,
                slots=slots,
                streams=RedisAnswerStreams(redis),
                cache=RedisResponseCache(redis.batches, settings.llm_cache_max_entries),
                limits=limits,
                stand_in=stand_in,
            )
        )
        await stack.enter_async_context(restore_in_background(redis, condition, world.reader))
        yield processor


def _handler(
    settings: WorkerSettings,
    world: _World,
    processor: JobProcessor,
    key_file: KeyFile | None,
    tracing: Tracing | None,
) -> RecordHandler:
    return RecordHandler(
        TracedJobs(processor, tracing) if tracing is not None else processor,
        KafkaDeadLetters(world.producer, settings.kafka_dead_letter_topic),
        MeteredEvents(world.events),
        settings.model_defaults(),
        CallerKeys(key_file, allows_clear=settings.kafka_allow_clear_keys),
        lanes=lanes_in(settings),
    )


@asynccontextmanager
async def _watched(settings: WorkerSettings, world: _World) -> AsyncIterator[None]:
    """Probes are answered, and dependencies looked at."""
    is_available = world.store.is_available
    needs: dict[str, IsUp] = {"redis": is_available, "kafka": partial(is_reachable, world.producer)}
    BUILD.labels("worker", settings.llm_version).set(1)
    async with (
        serve_health(settings.worker_health_host, settings.worker_health_port, is_available),
        in_background(watch_dependencies(needs)),
    ):
        yield


def _handle(
    handler: RecordHandler, tracing: Tracing | None, consumer_group: str, lanes: Lanes = ONE_LANE
) -> Handle:
    if tracing is None:
        return handler.handle
    return TracedRecords(handler.handle, tracing, consumer_group, lanes).handle
