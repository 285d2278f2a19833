"""A gateway without processes and sockets, whose store says what it was asked for."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx
from fastapi import FastAPI

from gateway.adapters import Adapters
from gateway.main import create_app
from gateway.settings import GatewaySettings
from shared.adapters.memory_answer_streams import MemoryAnswerStreams
from shared.adapters.memory_replicas import MemoryReplicas
from shared.adapters.memory_response_cache import MemoryResponseCache
from shared.adapters.memory_result_store import MemoryResultStore
from shared.adapters.result_watches import Watch
from shared.domain.job import Job, JobId
from shared.domain.result import Failed, Succeeded
from shared.ports import Begun, Conflicting, Deleted, Finished, Pending, Reserved, Run
from shared.settings import load_settings
from shared.telemetry.tracing import Tracing
from tests.support.jobs import make_success


class RecordingStore(MemoryResultStore):
    """The steps of the gateway's half, in order."""

    def __init__(self) -> None:
        super().__init__(timedelta(hours=1))
        self.asked: list[tuple[str, JobId | None]] = []

    async def reserve(
        self, job_id: JobId, fingerprint: str, claim: str, expires_at: datetime
    ) -> Reserved | Pending | Finished | Conflicting | Deleted:
        self.asked.append(("reserve", job_id))
        return await super().reserve(job_id, fingerprint, claim, expires_at)

    async def get(self, job_id: JobId) -> Pending | Finished | Deleted | None:
        self.asked.append(("get", job_id))
        return await super().get(job_id)

    async def cancel(self, job_id: JobId) -> Pending | Finished | Deleted | None:
        self.asked.append(("cancel", job_id))
        return await super().cancel(job_id)

    async def delete(self, job_id: JobId) -> Pending | Deleted | None:
        self.asked.append(("delete", job_id))
        return await super().delete(job_id)

    def watch(self, job_id: JobId) -> AbstractContextManager[Watch]:
        self.asked.append(("watch", job_id))
        return super().watch(job_id)


class KeptJobs:
    """`JobQueue` that leaves the jobs to the test."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    async def enqueue(self, job: Job) -> None:
        self.jobs.append(job)

    async def is_available(self) -> bool:
        return True


@dataclass(frozen=True)
class Gateway:
    """The app, what is behind it, and a way to call it."""

    app: FastAPI
    http: httpx.AsyncClient
    store: RecordingStore
    queue: KeptJobs
    streams: MemoryAnswerStreams
    cache: MemoryResponseCache

    async def finish(self, job: Job, result: Succeeded | Failed | None = None) -> None:
        """As a worker does."""
        run = Run(job.id, "token", job.fingerprint)
        assert isinstance(await self.store.begin(run, 20, job.deadline), Begun)
        await self.store.save(run, result or make_success(job))


@asynccontextmanager
async def gateway_in_process(tracing: Tracing | None = None, /, **settings: str) -> AsyncIterator[Gateway]:
    """A gateway with these settings (in lower case) and nothing from the environment."""
    store, queue, streams = RecordingStore(), KeptJobs(), MemoryAnswerStreams()
    cache = MemoryResponseCache(10)

    @asynccontextmanager
    async def connect(_: GatewaySettings) -> AsyncIterator[Adapters]:
        yield Adapters(
            store, queue, streams, cache, MemoryReplicas(), mode="one process", accepts_caller_keys=True
        )

    named = {name.lower(): value for name, value in settings.items()}
    app = create_app(load_settings(GatewaySettings, _env_file=None, **named), connect, tracing)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://x") as http,
    ):
        yield Gateway(app, http, store, queue, streams, cache)
