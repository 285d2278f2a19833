"""The gateway wired: settings to adapters to service to routes."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from loguru import logger

from gateway.access import guard
from gateway.adapters import Adapters
from gateway.app_parts import make_state, own_report, show_state
from gateway.door import Door
from gateway.error_handlers import handle_errors
from gateway.in_flight_limit import InFlightLimit
from gateway.key_sealer import KeySealer
from gateway.known_clients import follow_token_file, read_known_clients
from gateway.middleware import RequestBoundary
from gateway.openapi import DocumentedApp
from gateway.plain_route import add_routes
from gateway.ports import JobQueue
from gateway.queue.kafka_job_queue import KafkaJobQueue
from gateway.queue.traced_job_queue import TracedJobQueue
from gateway.queue_gauge import BoundedJobQueue, QueueGauge
from gateway.results_tail import tail_results
from gateway.routes import (
    asyncapi,
    chat_completions,
    dashboard,
    events,
    health,
    invoke,
    jwks,
    metrics,
    models,
    results,
    stats,
)
from gateway.settings import GatewaySettings
from gateway.traced_requests import TracedRequests
from shared.adapters.fallback_result_store import fall_back_to_memory
from shared.adapters.job_limits import redis_limits
from shared.adapters.kafka_producer import connect_kafka_producer
from shared.adapters.kafka_refusal import hear_refusals_alone
from shared.adapters.kafka_result_reader import KafkaResultReader
from shared.adapters.kafka_topics import ensure_topics
from shared.adapters.memory_limiter import MemoryLimiter
from shared.adapters.memory_result_store import MemoryResultStore
from shared.adapters.redis_answer_streams import RedisAnswerStreams
from shared.adapters.redis_queue_loads import RedisQueueLoads
from shared.adapters.redis_replicas import RedisReplicas
from shared.adapters.redis_response_cache import RedisResponseCache
from shared.adapters.redis_result_store import connect_redis_result_store
from shared.background import in_background
from shared.domain.priority import lanes_of
from shared.fault_text import describe
from shared.replica_telling import told_of
from shared.telemetry.tracing import Tracing
from shared.wire import source_of

_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""FastAPI's own would tell paths and queries, and keys that were pasted there."""

_ROUTED = (
    invoke,
    results,
    events,
    chat_completions,
    models,
    health,
    stats,
    metrics,
    jwks,
    asyncapi,
    dashboard,
)

Connect = Callable[[GatewaySettings], AbstractAsyncContextManager[Adapters]]


@asynccontextmanager
async def connect(
    settings: GatewaySettings, sealer: KeySealer | None = None, tracing: Tracing | None = None
) -> AsyncIterator[Adapters]:
    """The adapters of distributed mode: Redis and Kafka."""
    security = settings.kafka_security()
    requests = lanes_of(settings.kafka_request_topic).values()
    await ensure_topics(
        settings.kafka_bootstrap_servers,
        [*requests, settings.kafka_result_topic],
        partitions=settings.kafka_request_partitions,
        replication_factor=settings.kafka_replication_factor,
        results={settings.kafka_result_topic: settings.retention()},  # a copy as long as the result
        security=security,
        rights={**dict.fromkeys(requests, ("WRITE",)), settings.kafka_result_topic: ("READ",)},
    )
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
        limits = redis_limits(
            settings.limit_table(), settings.own_prices(), redis, store.is_available, MemoryLimiter()
        )
        producer = await stack.enter_async_context(
            connect_kafka_producer(settings.kafka_bootstrap_servers, settings.llm_app_name, security)
        )
        reader = KafkaResultReader(
            settings.kafka_bootstrap_servers, settings.kafka_result_topic, settings.llm_app_name, security
        )
        await stack.enter_async_context(tail_results(store, reader, limits.settle if limits else None))
        source = source_of(settings.llm_app_name, "gateway")
        seal = sealer.seal if sealer is not None else None
        queue: JobQueue = KafkaJobQueue(producer, settings.kafka_request_topic, source, seal=seal)
        if tracing is not None:
            queue = TracedJobQueue(queue, tracing, "kafka", settings.kafka_request_topic)
        loads = RedisQueueLoads(redis.batches, settings.kafka_request_topic)
        gauge = QueueGauge(loads.read, settings.llm_max_queue_seconds, settings.priority_weights())
        await stack.enter_async_context(in_background(gauge.follow()))
        yield Adapters(
            store,
            BoundedJobQueue(queue, gauge),
            RedisAnswerStreams(redis),
            RedisResponseCache(redis.batches, settings.llm_cache_max_entries),
            RedisReplicas(redis.batches, settings.kafka_request_topic),
            gauge=gauge,
            mode="distributed",
            accepts_caller_keys=sealer is not None,
            limits=limits,
            sealer=sealer,
        )


def create_app(
    settings: GatewaySettings, connect: Connect = connect, tracing: Tracing | None = None
) -> FastAPI:
    """The ASGI app; nothing connects before its lifespan begins."""
    clients = read_known_clients(settings)
    door = Door(InFlightLimit(settings.llm_max_queue_seconds), settings.llm_max_queue_seconds)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with _explained(connect(settings)) as adapters, follow_token_file(clients):
            app.state.gateway = state = make_state(settings, adapters, door)
            show_state(state)
            async with (
                in_background(state.stats.flush_forever(), state.dependencies.follow()),
                told_of(adapters.replicas, own_report(state)),
            ):
                yield
            await state.stats.flush()

    app = DocumentedApp(
        title=settings.llm_app_name, version=settings.llm_version, lifespan=lifespan, telemetry=_NO_TELEMETRY
    )
    app.state.door = door
    for module in _ROUTED:
        add_routes(app, module.router)
    handle_errors(app)
    guard(app, clients)
    app.add_middleware(RequestBoundary, max_body_bytes=settings.llm_max_body_bytes)
    if tracing is not None:
        app.add_middleware(TracedRequests, tracing=tracing)
    return app


@asynccontextmanager
async def _explained(connecting: AbstractAsyncContextManager[Adapters]) -> AsyncIterator[Adapters]:
    """A start that fails says why in one line."""
    try:
        async with connecting as adapters:
            yield adapters
    except Exception as fault:
        logger.bind(fault=describe(fault)).error("gateway_failed")
        raise
