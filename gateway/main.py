"""The gateway wired: settings to adapters to service to routes."""

import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from loguru import logger
from starlette.exceptions import HTTPException

from gateway.access import guard
from gateway.app_state import Adapters, AppState, app_state
from gateway.cached_answers import CachedAnswers
from gateway.dependencies import DependencyWatch
from gateway.door import Door
from gateway.error_responses import refusal
from gateway.following import AnswerFollower
from gateway.http_protocol import http_protocol
from gateway.in_flight_limit import InFlightLimit
from gateway.key_sealer import KeySealer
from gateway.known_clients import follow_token_file, read_known_clients
from gateway.limit_headers import limit_headers
from gateway.metrics import IN_FLIGHT, IN_FLIGHT_LIMIT, WAITING
from gateway.middleware import RequestBoundary
from gateway.openapi import DocumentedApp
from gateway.plain_route import add_routes
from gateway.ports import JobQueue, QueueUnavailable
from gateway.preferences import WaitLimits
from gateway.queue.kafka_job_queue import KafkaJobQueue
from gateway.queue.traced_job_queue import TracedJobQueue
from gateway.queue_gauge import BoundedJobQueue, QueueGauge
from gateway.recent import Recent
from gateway.replica import OwnReport
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
from gateway.service import JobService, RequestRefused
from gateway.settings import GatewaySettings
from gateway.stats import Stats
from gateway.stats_reader import StatsReader
from gateway.stats_report import StatsReport
from gateway.traced_requests import TracedRequests
from gateway.turned_away import CODE
from gateway.waits import Waits
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
from shared.domain.errors import ErrorCode, InvalidRequest, JobError, job_error
from shared.domain.priority import lanes_of
from shared.domain.validation import short_echo
from shared.ports import StoreUnavailable
from shared.replica_telling import told_of
from shared.telemetry.process_metrics import BUILD
from shared.telemetry.tracing import Tracing
from shared.wire import source_of

_GRACEFUL_SECONDS = 30
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
        kept={settings.kafka_result_topic: settings.retention()},  # a copy as long as the result
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
            waits = Waits(settings.llm_max_waiters)
            answers = CachedAnswers(adapters.cache, settings.cache_policy())
            service = JobService(
                adapters.store, adapters.queue, waits, limits=adapters.limits, answers=answers
            )
            follower = AnswerFollower(adapters.store, adapters.streams, waits)
            limits = WaitLimits(settings.llm_default_wait_seconds, settings.llm_max_wait_seconds)
            own = Stats(adapters.store)
            needed = _needed(settings, adapters)
            dependencies = DependencyWatch(adapters.store, adapters.queue, needed)
            is_distributed = adapters.mode == "distributed"
            report = OwnReport(settings, waits, dependencies, own.started_at, is_distributed=is_distributed)
            door.count = lambda: own.count_refusal(CODE)
            WAITING.set_function(lambda: len(waits))
            IN_FLIGHT.set_function(lambda: door.limit.in_flight)
            IN_FLIGHT_LIMIT.set_function(lambda: door.limit.limit)
            BUILD.labels(_component(adapters), settings.llm_version).set(1)
            stats_report = StatsReport(
                settings,
                adapters.mode,
                adapters.store,
                adapters.replicas,
                adapters.gauge,
                waits,
                own,
                StatsReader(adapters.store),
                dependencies,
            )
            app.state.gateway = AppState(
                settings,
                adapters,
                service,
                door,
                follower,
                settings.model_defaults(),
                limits,
                own,
                stats_report,
                Recent(stats_report.make),
            )
            async with (
                in_background(own.flush_forever(), dependencies.follow()),
                told_of(adapters.replicas, report),
            ):
                yield
            await own.flush()

    app = DocumentedApp(
        title=settings.llm_app_name, version=settings.llm_version, lifespan=lifespan, telemetry=_NO_TELEMETRY
    )
    app.state.door = door
    for module in _ROUTED:
        add_routes(app, module.router)
    _handle_errors(app)
    guard(app, clients)
    app.add_middleware(RequestBoundary, max_body_bytes=settings.llm_max_body_bytes)
    if tracing is not None:
        app.add_middleware(TracedRequests, tracing=tracing)
    return app


def _component(adapters: Adapters) -> str:
    return "gateway" if adapters.mode == "distributed" else "one_process"


def _needed(settings: GatewaySettings, adapters: Adapters) -> set[str]:
    """What this process cannot do its work without, as Prometheus is told."""
    needed = {"redis": settings.redis_enabled, "kafka": adapters.mode == "distributed"}
    return {name for name, is_needed in needed.items() if is_needed}


@asynccontextmanager
async def _explained(connecting: AbstractAsyncContextManager[Adapters]) -> AsyncIterator[Adapters]:
    """A start that fails says why in one line."""
    try:
        async with connecting as adapters:
            yield adapters
    except Exception as fault:
        logger.bind(fault=f"{type(fault).__name__}: {fault}").error("gateway_failed")
        raise


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(InvalidRequest)
    async def invalid(request: Request, fault: InvalidRequest) -> Response:
        return _refuse(request, fault.error, fault.request_id)

    @app.exception_handler(RequestRefused)
    async def refused(request: Request, fault: RequestRefused) -> Response:
        response = _refuse(request, fault.error, request.state.request_id)
        response.headers.update(limit_headers(fault.admission) if fault.admission is not None else {})
        return response

    @app.exception_handler(QueueUnavailable)
    async def no_queue(request: Request, fault: QueueUnavailable) -> Response:
        code = ErrorCode.QUEUE_FULL if fault.is_full else ErrorCode.QUEUE_UNAVAILABLE
        seconds = fault.retry_after_seconds
        error = job_error(
            code,
            f"The job was not accepted: {fault}",
            details={"retry_after_seconds": round(seconds, 3)} if seconds is not None else None,
        )
        return _refuse(request, error, request.state.request_id)

    @app.exception_handler(StoreUnavailable)
    async def no_store(request: Request, fault: StoreUnavailable) -> Response:
        logger.bind(trace_id=request.state.trace_id, fault=str(fault)).warning("result_store_unavailable")
        error = job_error(
            ErrorCode.STORE_UNAVAILABLE,
            "The result store does not answer: not accepted; send the request again with its request_id",
        )
        return _refuse(request, error, None)

    @app.exception_handler(HTTPException)
    async def http(request: Request, fault: HTTPException) -> Response:
        is_unknown = fault.status_code == 404  # noqa: PLR2004
        code = ErrorCode.NOT_FOUND if is_unknown else ErrorCode.METHOD_NOT_ALLOWED
        told = f"{request.method} {short_echo(request.url.path)}: {fault.detail}"
        response = _refuse(request, job_error(code, told), None)
        response.headers.update(fault.headers or {})
        return response

    @app.exception_handler(RequestValidationError)
    async def stock(request: Request, _: RequestValidationError) -> Response:
        # FastAPI's own answer would echo the input. No route declares a parameter that could fail.
        error = job_error(ErrorCode.INVALID_FIELD, "The request is invalid")
        return _refuse(request, error, None)


def _refuse(request: Request, error: JobError, request_id: str | None) -> Response:
    app_state(request).stats.count_refusal(error.error_code)
    return refusal(request.scope, error, request_id)


class GatewayServer(uvicorn.Server):
    """Uvicorn that says where it listens, and answers held waits as soon as it is told to stop."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        state: AppState = self._app.state.gateway
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        logger.bind(url=f"http://{host}:{port}", mode=state.adapters.mode).info("gateway_ready")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        state: AppState = self._app.state.gateway
        state.service.waits.drain()
        await super().shutdown(sockets)


def serve(settings: GatewaySettings, app: FastAPI) -> None:
    """Serve until SIGTERM or SIGINT."""
    # What the client library says while a broker is away, our own lines say once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=http_protocol(settings.llm_receive_timeout_seconds, app.state.door),
        ws="none",
        timeout_keep_alive=settings.llm_keep_alive_seconds,
        access_log=False,
        log_level="critical",
        timeout_graceful_shutdown=_GRACEFUL_SECONDS,
    )
    # Uvicorn raises the signal again when it has shut down; who left in peace exits with 0.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    GatewayServer(config, app).run(sockets=[_bind(settings.llm_host, settings.llm_port)])


def _bind(host: str, port: int) -> socket.socket:
    """The address is taken now and listened to when the app is ready."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as fault:
        raise SystemExit(f"LLM_HOST={host} LLM_PORT={port}: cannot listen there: {fault.strerror}") from None
    return listener
