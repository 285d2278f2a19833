"""One plain job, with all that tells of it, and without."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any

import orjson

from gateway.metrics import HTTP_IN_PROGRESS, count_http
from gateway.service import Answered
from gateway.stats import Stats
from shared.adapters.file_event_sink import encode_event
from shared.adapters.memory_result_store import MemoryResultStore
from shared.domain.events import Event, ProviderCalled
from shared.domain.job import Job
from shared.domain.totals import tally
from shared.ports import EventSink
from shared.telemetry.logging import tell_request
from tests.contract.examples import MINIMAL_JOB, some_job_id, success_of
from worker.job_events import job_event
from worker.llm.observed_client import ObservedClient
from worker.metrics import MeteredEvents
from worker.ports import Completion, Tell

_SECONDS = 0.003
_IDS = 1_000


class NullSink:
    """`EventSink` that forgets."""

    def emit(self, event: Event) -> None: ...


class _Route:
    path = "/invoke"


class _Provider:
    """`LLMClient` that answers at once."""

    def __init__(self, completion: Completion) -> None:
        self._completion = completion

    async def complete(self, job: Job, attempt: int, tell: Tell | None = None) -> Completion:
        return self._completion


class SeenJob:
    """The same steps as the product's, in its order, on its own code."""

    def __init__(self, sink: EventSink) -> None:
        self._job = MINIMAL_JOB
        answer = success_of(self._job.id)
        more = {"cost_usd": 3.15e-6, "total_ms": 12.5, "completed_at": datetime.now(UTC)}
        self._result = answer.model_copy(update=more)
        completion = Completion(
            model=answer.model,
            message=answer.message,
            finish_reason="stop",
            confidence=None,
            usage=answer.usage,
            latency_ms=3.0,
            cost_usd=3.15e-6,
        )
        self._provider = _Provider(completion)
        self._events = MeteredEvents(sink)
        self._observed = ObservedClient(self._provider, self._events)
        self._stats = Stats(MemoryResultStore(timedelta(hours=1)))
        self._outcome = Answered(self._result)
        self._scope: Any = {"method": "POST", "route": _Route()}
        self._jobs = cycle([replace(self._job, id=some_job_id()) for _ in range(_IDS)])

    async def seen(self) -> None:
        self.count_request()
        job = next(self._jobs)
        await self._observed.complete(job, 1)
        self._events.emit(job_event(job, self._result))
        self.amounts()
        self.tell_request()

    async def unseen(self) -> None:
        await self._provider.complete(next(self._jobs), 1)

    def count_request(self) -> None:
        HTTP_IN_PROGRESS.inc()
        count_http(self._scope, 200, _SECONDS)
        self._stats.count_outcome(self._outcome)
        HTTP_IN_PROGRESS.dec()

    def tell_request(self) -> None:
        tell_request(
            "request_answered",
            trace_id="0af7651916cd43dd8448eb211c80319c",
            request_id=self._job.id.request_id,
            owner=self._job.id.owner,
            method="POST",
            path="/invoke",
            status=200,
            duration_ms=round(_SECONDS * 1000, 3),
        )

    def amounts(self) -> bytes:
        """What the store is told to add up."""
        return orjson.dumps(tally(self._result))

    def steps(self) -> dict[str, Callable[[], object]]:
        """Those that need no loop."""
        call = ProviderCalled(
            owner=self._job.id.owner,
            request_id=self._job.id.request_id,
            model=self._job.model,
            attempt=1,
            outcome="succeeded",
            latency_ms=3.0,
            response_model=self._result.model,
            prompt_tokens=9,
            cached_tokens=0,
            completion_tokens=1,
            cost_usd=3.15e-6,
        )
        end = job_event(self._job, self._result)
        return {
            "HTTP series and outcome": self.count_request,
            "log line": self.tell_request,
            "series of a call": lambda: self._events.emit(call),
            "fact of a job": lambda: job_event(self._job, self._result),
            "series of a job": lambda: self._events.emit(end),
            "encode both facts": lambda: (encode_event(call), encode_event(end)),
            "sums for the store": self.amounts,
        }
