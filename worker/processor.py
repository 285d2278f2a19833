"""The processor wired: the provider, and around it prices, retries, leases and what is told of them."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from pydantic import SecretStr

from shared.limits import JobLimits
from shared.ports import EventSink, JobRuns, ResponseCache, StreamWriter
from shared.prices import Prices
from shared.telemetry.tracing import Tracing
from worker.call_sharing import CallSharing
from worker.leases import keep_leases
from worker.llm.keyless_client import KeylessClient, wait_for_local_model
from worker.llm.logged_content import with_content_logged
from worker.llm.observed_client import ObservedClient
from worker.llm.openai_client import connect_openai_client
from worker.llm.patient_client import patient
from worker.llm.priced_client import PricedClient
from worker.llm.traced_client import traced
from worker.metrics import JOBS_IN_FLIGHT, MeteredEvents
from worker.ports import LLMClient, ResultLog
from worker.service import JobProcessor
from worker.settings import WorkerSettings
from worker.slots import Slots


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
    slots: Slots,
    streams: StreamWriter,
    cache: ResponseCache,
    limits: JobLimits | None = None,
    stand_in: LLMClient | None = None,
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
        slots=slots,
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
