"""The worker wired: settings to adapters to processor to subscription."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from uuid import uuid4

from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker
from loguru import logger

from shared.adapters.fallback_result_store import fall_back_to_memory
from shared.adapters.job_limits import redis_limits
from shared.adapters.kafka_event_sink import connect_kafka_event_sink
from shared.adapters.kafka_producer import connect_kafka_producer
from shared.adapters.kafka_refusal import hear_refusals_alone
from shared.adapters.kafka_result_reader import KafkaResultReader
from shared.adapters.kafka_topics import ensure_topics
from shared.adapters.memory_result_store import MemoryResultStore
from shared.adapters.redis_answer_streams import RedisAnswerStreams
from shared.adapters.redis_queue_loads import RedisQueueLoads
from shared.adapters.redis_response_cache import RedisResponseCache
from shared.adapters.redis_result_store import connect_redis_result_store
from shared.background import in_background
from shared.kafka_security import KafkaSecurity
from shared.key_file import KeyFile
from shared.limits import JobLimits
from shared.ports import EventSink, JobRuns, ResponseCache, StreamWriter
from shared.prices import Prices
from worker.call_sharing import CallSharing
from worker.consumer_faults import ConsumerFaults
from worker.dead_letters import KafkaDeadLetters
from worker.dispatcher import Dispatcher, Limits, commit_in_background
from worker.health import serve_health
from worker.kafka_broker_security import broker_security
from worker.keys.caller_keys import CallerKeys
from worker.leases import keep_leases
from worker.llm.observed_client import ObservedClient
from worker.llm.openai_client import connect_openai_client
from worker.llm.priced_client import PricedClient
from worker.llm.retrying_client import RetryingClient
from worker.load_report import LoadReport
from worker.metrics import JOBS_IN_FLIGHT, MeteredEvents
from worker.ports import LLMClient, ResultLog
from worker.redis_store_condition import RedisStoreCondition
from worker.result_log import KafkaResultLog
from worker.result_restorer import restore_in_background
from worker.service import JobProcessor
from worker.settings import WorkerSettings
from worker.subscriber import RecordHandler, subscribe

_LEAVE_SECONDS = 10.0
_PATIENCE_SHARE = 0.5


@asynccontextmanager
async def connect_llm(settings: WorkerSettings) -> AsyncIterator[LLMClient]:
    """The provider of the settings."""
    key = settings.openai_api_key if settings.openai_api_key.get_secret_value() else None
    async with connect_openai_client(
        settings.provider_url(),
        key,
        connect_timeout_seconds=settings.worker_connect_timeout_seconds,
        read_timeout_seconds=settings.worker_read_timeout_seconds,
        max_answer_bytes=settings.worker_max_answer_bytes,
    ) as client:
        yield client


@asynccontextmanager
async def connect_processor(
    settings: WorkerSettings,
    store: JobRuns,
    log: ResultLog,
    events: EventSink,
    llm: LLMClient,
    *,
    streams: StreamWriter,
    cache: ResponseCache,
    limits: JobLimits | None = None,
) -> AsyncIterator[JobProcessor]:
    """The processor with its leases kept: observed calls inside the one retry layer."""
    priced = PricedClient(llm, Prices(settings.own_prices(), settings.provider_url()))
    retrying = RetryingClient(
        ObservedClient(priced, events),
        max_attempts=settings.worker_max_attempts,
        backoff_seconds=settings.worker_backoff_seconds,
        max_backoff_seconds=settings.worker_max_backoff_seconds,
    )
    async with keep_leases(store, settings.worker_lease_seconds) as leases:
        processor = JobProcessor(
            store,
            log,
            retrying,
            events,
            leases,
            streams=streams,
            sharing=CallSharing(cache, settings.cache_policy()),
            max_runs=settings.worker_max_runs,
            limits=limits,
        )
        JOBS_IN_FLIGHT.set_function(lambda: processor.meter.running)
        yield processor


async def run(settings: WorkerSettings, key_file: KeyFile | None = None) -> None:
    """Work until SIGTERM or SIGINT: then leave the group first, and finish the running calls after."""
    # What the client library says while a broker is away, our own lines say once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    security = settings.kafka_security()
    stop = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    await _ensure_topics(settings, security)
    hear_refusals_alone(security)
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(
            connect_redis_result_store(
                settings.redis_address(),
                max_connections=settings.redis_max_connections,
                retention=settings.retention(),
            )
        )
        memory = MemoryResultStore(settings.retention())
        store = await stack.enter_async_context(fall_back_to_memory(redis, memory))
        producer = await stack.enter_async_context(
            connect_kafka_producer(settings.kafka_bootstrap_servers, settings.llm_app_name, security)
        )
        events: EventSink = await stack.enter_async_context(
            connect_kafka_event_sink(
                producer,
                metrics_topic=settings.kafka_metrics_topic,
                error_topic=settings.kafka_error_topic,
                spool_folder=settings.event_spool_folder(),
                max_bytes=settings.llm_log_file_max_bytes,
            )
        )
        events = MeteredEvents(events)
        llm = await stack.enter_async_context(connect_llm(settings))
        reader = KafkaResultReader(
            settings.kafka_bootstrap_servers, settings.kafka_result_topic, settings.llm_app_name, security
        )
        source = f"/{settings.llm_app_name}/worker"
        log = KafkaResultLog(producer, settings.kafka_result_topic, source, reader)
        limits = redis_limits(settings.limit_table(), settings.own_prices(), redis, store.is_available, None)
        processor = await stack.enter_async_context(
            connect_processor(
                settings,
                store,
                log,
                events,
                llm,
                streams=RedisAnswerStreams(redis),
                cache=RedisResponseCache(redis.batches, settings.llm_cache_max_entries),
                limits=limits,
            )
        )
        condition = RedisStoreCondition(redis.batches, settings.kafka_result_topic)
        await stack.enter_async_context(restore_in_background(redis, condition, reader))
        dead_letters = KafkaDeadLetters(producer, settings.kafka_dead_letter_topic)
        caller_keys = CallerKeys(key_file, allows_clear=settings.kafka_allow_clear_keys)
        handler = RecordHandler(processor, dead_letters, events, settings.model_defaults(), caller_keys)
        dispatcher = Dispatcher(handler.handle, _limits(settings))
        await stack.enter_async_context(
            serve_health(settings.worker_health_host, settings.worker_health_port, store.is_available)
        )
        loads = RedisQueueLoads(redis.batches, settings.kafka_request_topic)
        report = LoadReport(dispatcher, processor.meter, partial(loads.tell, uuid4().hex))
        await _consume(settings, dispatcher, handler, report, stop)


async def _consume(
    settings: WorkerSettings,
    dispatcher: Dispatcher,
    handler: RecordHandler,
    report: LoadReport,
    stop: asyncio.Event,
) -> None:
    broker = KafkaBroker(
        settings.kafka_bootstrap_servers.split(","),  # FastStream takes a string for one server
        client_id=settings.llm_app_name,
        apply_types=False,  # the handler takes the raw record: nothing to inject
        logger=ConsumerFaults(),
        security=broker_security(settings.kafka_security()),
        graceful_timeout=_LEAVE_SECONDS,
    )
    subscriber = subscribe(broker, dispatcher, handler, settings)
    try:
        await broker.start()
    except KafkaError:
        await asyncio.wait([asyncio.ensure_future(broker.stop())], timeout=_LEAVE_SECONDS)
        raise
    dispatcher.attach(subscriber.consumer)
    logger.bind(topic=settings.kafka_request_topic, concurrency=settings.worker_concurrency).info(
        "worker_ready"
    )
    async with commit_in_background(dispatcher), in_background(report.tell_forever(subscriber.consumer)):
        await stop.wait()
        logger.bind(in_flight=dispatcher.in_flight).info("worker_leaving")
        await dispatcher.leave()
        # Without a broker, leaving can hang for ever.
        await asyncio.wait([asyncio.ensure_future(broker.stop())], timeout=_LEAVE_SECONDS)
    cut_off = await dispatcher.finish(settings.worker_drain_seconds)
    logger.bind(cut_off=cut_off).info("worker_stopped")


async def _ensure_topics(settings: WorkerSettings, security: KafkaSecurity) -> None:
    await ensure_topics(
        settings.kafka_bootstrap_servers,
        [
            settings.kafka_request_topic,
            settings.kafka_result_topic,
            settings.kafka_metrics_topic,
            settings.kafka_error_topic,
            settings.kafka_dead_letter_topic,
        ],
        partitions=settings.kafka_request_partitions,
        replication_factor=settings.kafka_replication_factor,
        kept={settings.kafka_result_topic: settings.retention()},  # a copy as long as the result
        security=security,
        rights={
            settings.kafka_request_topic: ("READ",),
            settings.kafka_result_topic: ("READ", "WRITE"),
            settings.kafka_metrics_topic: ("WRITE",),
            settings.kafka_error_topic: ("WRITE",),
            settings.kafka_dead_letter_topic: ("WRITE",),
        },
    )


def _limits(settings: WorkerSettings) -> Limits:
    return Limits(
        concurrency=settings.worker_concurrency,
        window_jobs=settings.worker_window_jobs,
        window_bytes=settings.worker_window_bytes,
        partition_span=settings.worker_partition_span,
        patience_seconds=settings.worker_max_poll_seconds * _PATIENCE_SHARE,
    )
