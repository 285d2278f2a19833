"""Every provider attempt, counted and told."""

import time

from shared.domain.events import ProviderCalled
from shared.domain.job import Job
from shared.ports import EventSink
from worker.ports import Completion, LLMClient, LLMError, Tell


class ObservedClient:
    """`LLMClient` that tells one fact a call; it goes inside the retries."""

    def __init__(self, inner: LLMClient, events: EventSink) -> None:
        self._inner = inner
        self._events = events

    async def complete(self, job: Job, attempt: int, tell: Tell | None = None) -> Completion:
        started_at = time.perf_counter()
        outcome: str | None = "cut_off"
        completion: Completion | None = None
        try:
            completion = await self._inner.complete(job, attempt, tell)
            outcome = "succeeded"
        except LLMError as fault:
            outcome = fault.code if fault.attempts else None
            raise
        else:
            return completion
        finally:
            if outcome is not None:
                seconds = time.perf_counter() - started_at
                self._events.emit(_called(job, attempt, outcome, seconds, completion))


def _called(
    job: Job, attempt: int, outcome: str, seconds: float, completion: Completion | None
) -> ProviderCalled:
    usage = completion.usage if completion is not None else None
    return ProviderCalled(
        owner=job.id.owner,
        request_id=job.id.request_id,
        model=job.model,
        attempt=attempt,
        outcome=outcome,
        latency_ms=round(seconds * 1000, 3),
        response_model=completion.model if completion is not None else None,
        prompt_tokens=usage.prompt_tokens if usage is not None else None,
        cached_tokens=completion.cached_tokens if completion is not None else None,
        completion_tokens=usage.completion_tokens if usage is not None else None,
        cost_usd=completion.cost_usd if completion is not None else None,
        fallback_for=job.fallback_for,
    )
