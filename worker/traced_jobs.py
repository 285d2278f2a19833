"""The span of every job: its record's, or in one process one of its own."""

from contextlib import AbstractContextManager, nullcontext

from shared.domain.job import Job
from shared.domain.priority import lane_name
from shared.telemetry.tracing import Attributes, Span, Tracing
from worker.service import LookAgain, Outcome, Processor

_ATTRIBUTES = {
    "messaging.system": "in_process",
    "messaging.operation.name": "process",
    "messaging.operation.type": "process",
}


class TracedJobs:
    """`Processor` whose span says which job it is."""

    def __init__(self, inner: Processor, tracing: Tracing) -> None:
        self._inner = inner
        self._tracing = tracing

    async def process(self, job: Job, *, may_have_run: bool = False) -> Outcome:
        with self._span(job) as span:
            span.note(
                {
                    "messaging.message.id": job.id.request_id,
                    "request_id": job.id.request_id,
                    "owner": job.id.owner,
                }
            )
            outcome = await self._inner.process(job, may_have_run=may_have_run)
            if isinstance(outcome, LookAgain):
                span.forget()
            return outcome

    def _span(self, job: Job) -> AbstractContextManager[Span]:
        if (of_record := self._tracing.current) is not None:
            return nullcontext(of_record)
        destination = lane_name("jobs", job.priority)
        attributes: Attributes = {**_ATTRIBUTES, "messaging.destination.name": destination}
        return self._tracing.continued(job.traceparent, f"process {destination}", "consumer", attributes)
