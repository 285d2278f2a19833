"""The span of a job that is handed on."""

from dataclasses import replace

from gateway.ports import JobQueue
from shared.domain.job import Job
from shared.domain.priority import lanes_of
from shared.telemetry.tracing import Tracing


class TracedJobQueue:
    """`JobQueue` whose jobs carry the name of their span, so that who takes them goes on with the trace."""

    def __init__(self, inner: JobQueue, tracing: Tracing, system: str, destination: str) -> None:
        self._inner = inner
        self._tracing = tracing
        self._lanes = lanes_of(destination)
        self._attributes = {
            "messaging.system": system,
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
        }

    async def enqueue(self, job: Job) -> None:
        destination = self._lanes[job.priority]
        attributes = {
            **self._attributes,
            "messaging.destination.name": destination,
            "messaging.message.id": job.id.request_id,
            "request_id": job.id.request_id,
            "owner": job.id.owner,
        }
        with self._tracing.span(f"send {destination}", "producer", attributes) as span:
            await self._inner.enqueue(replace(job, traceparent=span.traceparent))

    async def is_available(self) -> bool:
        return await self._inner.is_available()
