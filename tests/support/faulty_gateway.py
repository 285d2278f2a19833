"""A real gateway server whose world is broken in the way that a prompt asks for."""

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta

import uvicorn

from gateway.adapters import Adapters
from gateway.http_protocol import http_protocol
from gateway.main import create_app
from gateway.ports import QueueUnavailable
from gateway.settings import GatewaySettings
from shared.adapters.memory_answer_streams import MemoryAnswerStreams
from shared.adapters.memory_replicas import MemoryReplicas
from shared.adapters.memory_response_cache import MemoryResponseCache
from shared.adapters.memory_result_store import MemoryResultStore
from shared.domain.errors import ErrorCode, job_error
from shared.domain.job import Job
from shared.domain.result import Failed
from shared.ports import Run, StoreUnavailable

SECRET = "a secret of the inside"


class FaultyQueue:
    """Takes no job as it should."""

    def __init__(self, store: MemoryResultStore) -> None:
        self._store = store

    async def enqueue(self, job: Job) -> None:
        match job.messages[-1].content:
            case "crash":
                raise RuntimeError(SECRET)
            case "full":
                raise QueueUnavailable("no room", is_full=True)
            case "away":
                raise QueueUnavailable("no broker")
            case "no store":
                raise StoreUnavailable("no connection")
            case _:
                await self._store.save(Run(job.id, "run", job.fingerprint), _killer_of_workers(job))

    async def is_available(self) -> bool:
        return True


def _killer_of_workers(job: Job) -> Failed:
    return Failed(
        request_id=job.id.request_id,
        model=job.model,
        completed_at=datetime.now(UTC),
        queue_ms=1,
        llm_latency_ms=0,
        attempts=3,
        retry_count=2,
        rate_limited=False,
        error=job_error(ErrorCode.TOO_MANY_RUNS, "3 workers ended while they ran this job"),
    )


@asynccontextmanager
async def _connect(_: GatewaySettings) -> AsyncIterator[Adapters]:
    store = MemoryResultStore(timedelta(hours=1))
    queue = FaultyQueue(store)
    streams, cache = MemoryAnswerStreams(), MemoryResponseCache(10)
    yield Adapters(
        store, queue, streams, cache, MemoryReplicas(), mode="distributed", accepts_caller_keys=False
    )


@contextmanager
def faulty_gateway() -> Iterator[str]:
    """Its URL; the prompts are crash, full, away, no store, and everything else for too many runs."""
    app = create_app(GatewaySettings(_env_file=None), _connect)
    config = uvicorn.Config(app, port=0, http=http_protocol(30), log_level="critical", access_log=False)
    server = _AnnouncedServer(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        server.is_up.wait(30)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)


class _AnnouncedServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = threading.Event()

    async def startup(self, sockets: object = None) -> None:
        await super().startup()
        self.is_up.set()
