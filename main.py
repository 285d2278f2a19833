"""The whole service in one process: gateway and worker over a queue in memory. `python main.py`."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

from gateway.adapters import Adapters
from gateway.main import create_app
from gateway.ports import JobQueue
from gateway.queue.inprocess_job_queue import InProcessJobQueue
from gateway.queue.traced_job_queue import TracedJobQueue
from gateway.queue_gauge import BoundedJobQueue, QueueGauge, ReadLoad
from gateway.server import serve
from gateway.settings import GatewaySettings
from shared.adapters.fallback_result_store import fall_back_to_memory
from shared.adapters.file_event_sink import FileEventSink
from shared.adapters.job_limits import memory_limits, redis_limits
from shared.adapters.late_kafka_producer import connect_late_kafka_producer
from shared.adapters.memory_answer_streams import MemoryAnswerStreams
from shared.adapters.memory_limiter import MemoryLimiter
from shared.adapters.memory_replicas import MemoryReplicas
from shared.adapters.memory_response_cache import MemoryResponseCache
from shared.adapters.memory_result_store import MemoryResultStore
from shared.adapters.redis_response_cache import RedisResponseCache
from shared.adapters.redis_result_store import connect_redis_result_store
from shared.background import in_background
from shared.domain.job import ANY_MODEL
from shared.domain.queue_load import QueueLoad, WorkerLoad, load_of
from shared.garbage_collector import settle_garbage_collector
from shared.limits import JobLimits
from shared.ports import EventSink, ResponseCache, ResultStore
from shared.settings import load_settings
from shared.settings_check import end_if_checking
from shared.telemetry.logging import configure_logging
from shared.telemetry.tracing import Tracing, tracing_to
from worker.events import connect_events
from worker.inprocess_worker import work_in_process
from worker.llm.local_model import LOCAL_MODEL, is_installed, local_model_server
from worker.llm.openai_client import connect_openai_client
from worker.llm.routing_client import RoutingClient
from worker.llm.traced_client import traced
from worker.ports import LLMClient
from worker.processor import connect_llm, connect_processor, connect_stand_in
from worker.result_log import NoResultLog
from worker.run_meter import RunMeter
from worker.service import Processor
from worker.settings import WorkerSettings
from worker.slots import Slots
from worker.traced_events import TracedEvents
from worker.traced_jobs import TracedJobs

_DRAIN_SECONDS = 30.0


class OneProcessSettings(GatewaySettings, WorkerSettings):
    """Gateway and worker in one."""

    def needs_local_model(self) -> bool:
        """A child of this process: nobody else was named who answers without a key."""
        return self.is_keyless() and not self.worker_local_model_url and is_installed()


@asynccontextmanager
async def connect(settings: OneProcessSettings, tracing: Tracing | None = None) -> AsyncIterator[Adapters]:
    """The adapters of one process, with its worker running behind the queue."""
    async with AsyncExitStack() as stack:
        store, limits, cache = await stack.enter_async_context(_connect_store(settings))
        events = await stack.enter_async_context(_connect_events(settings))
        if tracing is not None:
            events = TracedEvents(events, tracing)
        llm = await stack.enter_async_context(_connect_llm(settings, tracing))
        stand_in = await stack.enter_async_context(connect_stand_in(settings, tracing))
        streams = MemoryAnswerStreams()
        slots = Slots(settings.worker_concurrency, settings.priority_weights())
        processor = await stack.enter_async_context(
            connect_processor(
                settings,
                store,
                NoResultLog(),
                events,
                llm,
                slots=slots,
                streams=streams,
                cache=cache,
                limits=limits,
                stand_in=stand_in,
            )
        )
        queue = InProcessJobQueue(weights=settings.priority_weights())
        jobs: Processor = TracedJobs(processor, tracing) if tracing is not None else processor
        held = await stack.enter_async_context(
            work_in_process(
                queue.next,
                jobs,
                slots=slots,
                window_jobs=settings.worker_window_jobs,
                drain_seconds=min(_DRAIN_SECONDS, settings.worker_drain_seconds),
            )
        )
        gauge = QueueGauge(
            _load_in(queue, held, processor.meter, settings.worker_concurrency),
            settings.llm_max_queue_seconds,
            settings.priority_weights(),
        )
        await stack.enter_async_context(in_background(gauge.follow()))
        entry: JobQueue = (
            TracedJobQueue(queue, tracing, "in_process", "jobs") if tracing is not None else queue
        )
        bounded = BoundedJobQueue(entry, gauge)
        yield Adapters(
            store,
            bounded,
            streams,
            cache,
            MemoryReplicas(),
            mode="one process",
            accepts_caller_keys=True,
            gauge=gauge,
            limits=limits,
        )


def _load_in(queue: InProcessJobQueue, held: Callable[[], int], meter: RunMeter, slots: int) -> ReadLoad:
    async def read() -> QueueLoad | None:
        load = WorkerLoad(
            waiting=len(queue) + max(0, held() - meter.running),
            waiting_high=queue.waiting("high"),
            waiting_low=queue.waiting("low"),
            running=meter.running,
            run_seconds=meter.run_seconds,
            slots=slots,
        )
        return load_of([load])

    return read


@asynccontextmanager
async def _connect_store(
    settings: OneProcessSettings,
) -> AsyncIterator[tuple[ResultStore, JobLimits | None, ResponseCache]]:
    memory = MemoryResultStore(settings.retention())
    table, prices = settings.limit_table(), settings.own_prices()
    if not settings.redis_enabled:
        yield (
            memory,
            memory_limits(table, prices),
            MemoryResponseCache(settings.llm_cache_max_entries, count_miss=memory.count_miss),
        )
        return
    async with (
        connect_redis_result_store(
            settings.redis_address(),
            max_connections=settings.redis_max_connections,
            retention=settings.retention(),
            queue_dies_with_process=True,
        ) as redis,
        fall_back_to_memory(redis, memory) as store,
    ):
        limits = redis_limits(table, prices, redis, store.is_available, MemoryLimiter())
        yield store, limits, RedisResponseCache(redis.batches, settings.llm_cache_max_entries)


@asynccontextmanager
async def _connect_events(settings: OneProcessSettings) -> AsyncIterator[EventSink]:
    if not settings.kafka_enabled:
        with closing(
            FileEventSink(Path(settings.llm_log_file), settings.llm_log_file_max_bytes)
        ) as file_sink:
            yield file_sink
        return
    async with (
        connect_late_kafka_producer(
            settings.kafka_bootstrap_servers, settings.llm_app_name, settings.kafka_security()
        ) as producer,
        connect_events(settings, producer) as sink,
    ):
        yield sink


@asynccontextmanager
async def _connect_llm(settings: OneProcessSettings, tracing: Tracing | None) -> AsyncIterator[LLMClient]:
    async with connect_llm(settings, tracing) as provider:
        if not settings.needs_local_model():
            yield provider
            return
        async with (
            local_model_server() as base_url,
            connect_openai_client(
                base_url,
                None,
                connect_timeout_seconds=settings.worker_connect_timeout_seconds,
                read_timeout_seconds=settings.worker_read_timeout_seconds,
                max_answer_bytes=settings.worker_max_answer_bytes,
            ) as local,
        ):
            yield RoutingClient({LOCAL_MODEL: traced(local, tracing, base_url)}, provider)


def _with_local_model(settings: OneProcessSettings) -> OneProcessSettings:
    """With no key and no server, the local model is the default one."""
    supported = settings.llm_supported_models
    return settings.model_copy(
        update={
            "llm_default_model": LOCAL_MODEL,
            "llm_supported_models": supported if ANY_MODEL in supported else (LOCAL_MODEL, *supported),
        }
    )


def _settings() -> OneProcessSettings:
    settings = load_settings(OneProcessSettings)
    return _with_local_model(settings) if settings.needs_local_model() else settings


def _who_answers(settings: OneProcessSettings) -> str:
    """A line, if it is not the provider with the service's own key."""
    if not settings.is_keyless():
        return ""
    missing = "No OPENAI_API_KEY and no OPENAI_BASE_URL"
    if settings.needs_local_model():
        return f"{missing}: the small local model {LOCAL_MODEL} answers.\n"
    if settings.worker_local_model_url:
        return f"{missing}: the local model at {settings.worker_local_model_url} answers.\n"
    return (
        f"{missing}, and the local model is not installed (make setup does that): only requests with an "
        "openai_api_key of their own are answered.\n"
    )


def main() -> None:
    """Read the settings, say what will answer, and serve."""
    end_if_checking(_settings)
    settings = _settings()
    configure_logging("llm-microservice", settings.llm_log_level, is_debug=settings.llm_debug)
    sys.stdout.write(_who_answers(settings))
    sys.stdout.write(
        "Jobs wait in memory and do not outlive this process.\nTry:\n\n"
        f"  curl -X POST localhost:{settings.llm_port}/invoke -H 'content-type: application/json' "
        """-d '{"user_prompt":"What is the capital of France?"}'\n\n"""
    )
    sys.stdout.flush()
    settle_garbage_collector()
    with tracing_to(settings.traces_url(), settings.llm_app_name, settings.llm_version) as tracing:
        serve(settings, create_app(settings, lambda _: connect(settings, tracing), tracing))


if __name__ == "__main__":
    main()
