"""What traces cost in CPU: `python -m tests.bench.tracing_cost`.

A request without a job through all layers of the gateway, and a job through what hands it on, takes it and
calls for it, each without and with traces. It is the time of the whole process, so batches and their sending
are in it; the collector is another one. The standard `OTEL_*` variables hold.
"""

import asyncio
import multiprocessing
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from gateway.ports import JobQueue
from gateway.queue.traced_job_queue import TracedJobQueue
from shared.domain.job import Job
from shared.domain.result import Usage
from shared.telemetry.tracing import Tracing, tracing_to
from tests.support.jobs import make_job
from tests.support.otlp_collector import OtlpCollector
from tests.unit.gateway.gateway_in_process import KeptJobs, gateway_in_process
from worker.dispatcher import Handle
from worker.llm.traced_client import traced
from worker.ports import Completion, Record, Tell
from worker.traced_records import TracedRecords

_TIMES = 4_000
_ROUNDS = 5
Step = Callable[[], Awaitable[object]]


class _InstantProvider:
    async def complete(self, job: Job, attempt: int, tell: Tell | None = None) -> Completion:
        return _ANSWER


class _EmptyQueue(KeptJobs):
    async def enqueue(self, job: Job) -> None:
        pass


@dataclass
class _JobRecord:
    headers: Sequence[tuple[str, bytes]]
    topic: str = "jobs"
    partition: int = 3
    offset: int = 7
    timestamp: int = 0
    key: bytes | None = None
    value: bytes | None = b"{}"


async def _cost_us(step: Step) -> float:
    """Of one step, CPU microseconds; the least of some rounds, because others use the machine."""
    rounds = []
    for _ in range(_ROUNDS):
        started_at = time.process_time()
        for _ in range(_TIMES):
            await step()
        rounds.append((time.process_time() - started_at) / _TIMES * 1e6)
    return min(rounds)


async def _request_us(tracing: Tracing | None) -> float:
    async with gateway_in_process(tracing) as gateway:

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b""}

        async def send(_: Any) -> None:
            pass

        async def step() -> None:
            await gateway.app({**_SCOPE, "state": {}}, receive, send)

        return await _cost_us(step)


async def _job_us(tracing: Tracing | None) -> float:
    job, queue, client = make_job(), _queue(tracing), traced(_InstantProvider(), tracing, "https://x/v1")

    async def call(_: Record) -> float | None:
        await client.complete(job, 1)
        return None

    handle, record = _handle(call, tracing), _JobRecord([])

    async def step() -> None:
        await queue.enqueue(job)
        await handle(record)

    return await _cost_us(step)


def _queue(tracing: Tracing | None) -> JobQueue:
    return _EmptyQueue() if tracing is None else TracedJobQueue(_EmptyQueue(), tracing, "kafka", "jobs")


def _handle(handle: Handle, tracing: Tracing | None) -> Handle:
    return handle if tracing is None else TracedRecords(handle, tracing, "workers").handle


def _collect(told: Connection) -> None:
    with OtlpCollector() as collector:
        told.send(collector.url)
        told.recv()


async def _report(url: str) -> None:
    for name, measure in (("request", _request_us), ("job, three spans", _job_us)):
        off = await measure(None)
        with tracing_to(url, "bench", "1") as tracing:
            on = await measure(tracing)
        print(f"{name}: {off:.1f} µs off, {on:.1f} µs on, {on - off:.1f} µs more")


def main() -> None:
    ours, theirs = multiprocessing.Pipe()
    collecting = multiprocessing.get_context("spawn").Process(target=_collect, args=(theirs,))
    collecting.start()
    try:
        asyncio.run(_report(f"{ours.recv()}/v1/traces"))
    finally:
        ours.send(None)
        collecting.join()


_SCOPE: dict[str, Any] = {
    "type": "http",
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/v1/models",
    "raw_path": b"/v1/models",
    "query_string": b"",
    "root_path": "",
    "headers": [(b"host", b"x")],
    "server": ("127.0.0.1", 8000),
}
_ANSWER = Completion(
    model="gpt-4o-mini-2024-07-18",
    message={"role": "assistant", "content": "x"},
    finish_reason="stop",
    confidence=None,
    usage=Usage(prompt_tokens=5, completion_tokens=2, total_tokens=7),
    latency_ms=1.0,
    answer={"id": "chatcmpl-1"},
)

if __name__ == "__main__":
    main()
