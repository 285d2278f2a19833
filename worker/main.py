"""The worker wired: settings to adapters to processor to subscription."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from uuid import uuid4

from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker
from loguru import logger
from pydantic import SecretStr

from shared.adapters.fallback_result_store import fall_back_to_memory
from shared.adapters.job_limits import redis_limits
from shared.adapters.kafka_event_sink import connect_kafka_event_sink
from shared.adapters.kafka_producer import connect_kafka_producer, is_reachable
from shared.adapters.kafka_refusal import hear_refusals_alone
from shared.adapters.kafka_result_reader import KafkaResultReader
from shared.adapters.memory_result_store import MemoryResultStore
from shared.adapters.redis_answer_streams import RedisAnswerStreams
from shared.adapters.redis_queue_loads import RedisQueueLoads
from shared.adapters.redis_replicas import RedisReplicas
from shared.adapters.redis_response_cache import RedisResponseCache
from shared.adapters.redis_result_store import connect_redis_result_store
from shared.background import in_background
from shared.domain.priority import lanes_of
from shared.key_file import KeyFile
from shared.limits import JobLimits
from shared.ports import EventSink, JobRuns, ResponseCache, StreamWriter
from shared.prices import Prices
from shared.replica_telling import told_of
from shared.telemetry.process_metrics import BUILD, IsUp, watch_dependencies
from shared.telemetry.tracing import Tracing
from shared.wire import source_of
from worker.call_sharing import CallSharing
from worker.consumer_faults import ConsumerFaults
from worker.dead_letters import KafkaDeadLetters
from worker.dispatcher import ONE_LANE, Dispatcher, Handle, Lanes, Limits, commit_in_background
from worker.health import serve_health
from worker.kafka_broker_security import broker_security
from worker.keys.caller_keys import CallerKeys
from worker.leases import keep_leases
from worker.llm.keyless_client import KeylessClient, wait_for_local_model
from worker.llm.logged_content import with_content_logged
from worker.llm.observed_client import ObservedClient
from worker.llm.openai_client import connect_openai_client
from worker.llm.patient_client import patient
from worker.llm.priced_client import PricedClient
from worker.llm.traced_client import traced
from worker.load_report import LoadReport
from worker.metrics import JOBS_IN_FLIGHT, MeteredEvents
from worker.ports import LLMClient, ResultLog
from worker.redis_store_condition import RedisStoreCondition
from worker.replica import OwnReport
from worker.result_log import KafkaResultLog
from worker.result_restorer import restore_in_background
from worker.service import JobProcessor, Processor
from worker.settings import WorkerSettings
from worker.slots import Slots
from worker.subscriber import RecordHandler, subscribe
from worker.topics import ensure_all_topics
from worker.traced_events import TracedEvents
from worker.traced_jobs import TracedJobs
from worker.traced_records import TracedRecords

_LEAVE_SECONDS = 10.0
_PATIENCE_SHARE = 0.5


@asynccontextmanager
async def connect_llm(settings: WorkerSettings, tracing: Tracing | None = None) -> AsyncIterator[LLMClient]:
    """The provider of the settings."""
    key = settings.openai_api_key if settings.openai_api_key.get_secret_value() else None
    async with _connect_server(settings, settings.provider_url(), key) as client:
        yield traced(client, tracing, settings.provider_url())


@asynccontextmanager
async def connect_stand_in(
    settings: WorkerSettings, tracing: Tracing | None = None
) -> AsyncIterator[LLMClient | None]:
    """The local model's server, if it is to answer for want of a key."""
    url = settings.worker_local_model_url.rstrip("/")
    if not url or not settings.is_keyless():
        yield None
        return
    if not settings.worker_sealing_keys_file:  # else jobs with keys of their own need not wait for it
        await wait_for_local_model(url)
    async with _connect_server(settings, url, None) as client:
        yield traced(client, tracing, url)


def _connect_server(
    settings: WorkerSettings, url: str, key: SecretStr | None
) -> AbstractAsyncContextManager[LLMClient]:
    return connect_openai_client(
        url,
        key,
        connect_timeout_seconds=settings.worker_connect_timeout_seconds,
        read_timeout_seconds=settings.worker_read_timeout_seconds,
        max_answer_bytes=settings.worker_max_answer_bytes,
    )


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
    stand_in: LLMClient | None = None,
    slots: Slots | None = None,
) -> AsyncIterator[JobProcessor]:
    """The processor with its leases kept, and its calls observed."""
    answering: LLMClient = PricedClient(llm, Prices(settings.own_prices(), settings.provider_url()))
    if stand_in is not None:  # outside the prices, which are the provider's
        answering = KeylessClient(answering, stand_in)
    if settings.llm_log_content:
        answering = with_content_logged(answering)
    metered = MeteredEvents(events)
    asking = patient(
        ObservedClient(answering, metered),
        settings,
        is_for_stand_in=lambda job: stand_in is not None and job.api_key is None,
        slots=slots or Slots(settings.worker_concurrency, settings.priority_weights()),
    )
    async with keep_leases(store, settings.worker_lease_seconds) as leases:
        processor = JobProcessor(
            store,
            log,
            asking.client,
            metered,
            leases,
            streams=streams,
            sharing=CallSharing(cache, settings.cache_policy()),
            max_runs=settings.worker_max_runs,
            limits=limits,
            told_again=events,
            hold_seconds=asking.holds.seconds,
        )
        JOBS_IN_FLIGHT.set_function(lambda: processor.meter.running)
        yield processor


async def run(
    settings: WorkerSettings, key_file: KeyFile | None = None, tracing: Tracing | None = None
) -> None:
    """Work until SIGTERM or SIGINT: then leave the group first, and finish the running calls after."""
    # What the client library says while a broker is away, our own lines say once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    security = settings.kafka_security()
    stop = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    await ensure_all_topics(settings)
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
        sink = await stack.enter_async_context(
            connect_kafka_event_sink(
                producer,
                metrics_topic=settings.kafka_metrics_topic,
                error_topic=settings.kafka_error_topic,
                spool_folder=settings.event_spool_folder(),
                max_bytes=settings.llm_log_file_max_bytes,
            )
        )
        events: EventSink = sink if tracing is None else TracedEvents(sink, tracing)
        llm = await stack.enter_async_context(connect_llm(settings, tracing))
        stand_in = await stack.enter_async_context(connect_stand_in(settings, tracing))
        reader = KafkaResultReader(
            settings.kafka_bootstrap_servers, settings.kafka_result_topic, settings.llm_app_name, security
        )
        source = source_of(settings.llm_app_name, "worker")
        log = KafkaResultLog(producer, settings.kafka_result_topic, source, reader)
        limits = redis_limits(settings.limit_table(), settings.own_prices(), redis, store.is_available, None)
        slots = Slots(settings.worker_concurrency, settings.priority_weights())
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
                stand_in=stand_in,
                slots=slots,
            )
        )
        condition = RedisStoreCondition(redis.batches, settings.kafka_result_topic)
        await stack.enter_async_context(restore_in_background(redis, condition, reader))
        dead_letters = KafkaDeadLetters(producer, settings.kafka_dead_letter_topic)
        caller_keys = CallerKeys(key_file, allows_clear=settings.kafka_allow_clear_keys)
        jobs: Processor = TracedJobs(processor, tracing) if tracing is not None else processor
        lanes = _lanes(settings)
        handler = RecordHandler(
            jobs, dead_letters, MeteredEvents(events), settings.model_defaults(), caller_keys, lanes=lanes
        )
        handle = _handle(handler, tracing, settings.kafka_consumer_group, lanes)
        dispatcher = Dispatcher(handle, _limits(settings), sink.settled, lanes, slots)
        await stack.enter_async_context(
            serve_health(settings.worker_health_host, settings.worker_health_port, store.is_available)
        )
        BUILD.labels("worker", settings.llm_version).set(1)
        needs: dict[str, IsUp] = {"redis": store.is_available, "kafka": partial(is_reachable, producer)}
        await stack.enter_async_context(in_background(watch_dependencies(needs)))
        loads = RedisQueueLoads(redis.batches, settings.kafka_request_topic)
        report = LoadReport(dispatcher, processor.meter, partial(loads.tell, uuid4().hex))
        replicas = RedisReplicas(redis.batches, settings.kafka_request_topic)
        own = OwnReport(settings, processor.meter, report, stop)
        await stack.enter_async_context(told_of(replicas, own))
        await _consume(settings, dispatcher, handler, report, stop)


def _handle(
    handler: RecordHandler, tracing: Tracing | None, consumer_group: str, lanes: Lanes = ONE_LANE
) -> Handle:
    if tracing is None:
        return handler.handle
    return TracedRecords(handler.handle, tracing, consumer_group, lanes).handle


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
    consumers = subscribe(broker, dispatcher, handler, settings)
    try:
        await broker.connect()
        await consumers.start()
    except KafkaError:
        await asyncio.wait([asyncio.ensure_future(broker.stop())], timeout=_LEAVE_SECONDS)
        raise
    dispatcher.attach(consumers)
    logger.bind(topic=settings.kafka_request_topic, concurrency=settings.worker_concurrency).info(
        "worker_ready"
    )
    async with commit_in_background(dispatcher), in_background(report.tell_forever(consumers)):
        await stop.wait()
        logger.bind(in_flight=dispatcher.in_flight).info("worker_leaving")
        await dispatcher.leave()
        # Without a broker, leaving can hang for ever.
        await asyncio.wait([asyncio.ensure_future(broker.stop())], timeout=_LEAVE_SECONDS)
    cut_off = await dispatcher.finish(settings.worker_drain_seconds)
    logger.bind(cut_off=cut_off).info("worker_stopped")


def _lanes(settings: WorkerSettings) -> Lanes:
    topics = lanes_of(settings.kafka_request_topic)
    return Lanes({topic: priority for priority, topic in topics.items()}, settings.priority_weights())


def _limits(settings: WorkerSettings) -> Limits:
    return Limits(
        concurrency=settings.worker_concurrency,
        window_jobs=settings.worker_window_jobs,
        window_bytes=settings.worker_window_bytes,
        partition_span=settings.worker_partition_span,
        patience_seconds=settings.worker_max_poll_seconds * _PATIENCE_SHARE,
    )
