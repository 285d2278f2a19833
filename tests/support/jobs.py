"""Jobs, results and events for tests that need some."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson

from shared.domain.errors import ErrorCode, job_error
from shared.domain.events import Event
from shared.domain.job import Job, ModelDefaults, job_from_body
from shared.domain.result import Failed, Succeeded, Usage
from shared.domain.validation import parse_invoke_body

DEFAULTS = ModelDefaults("gpt-4o-mini", 0.7, 1000, ("gpt-4o-mini", "gpt-4o"))


def make_job(*, deadline_in: timedelta | None = None, **body: Any) -> Job:
    """A valid job; `body` as in `/invoke`."""
    body.setdefault("request_id", str(uuid4()))
    body.setdefault("user_prompt", "What is the capital of France?")
    job = job_from_body(parse_invoke_body(orjson.dumps(body)), DEFAULTS)
    return replace(job, deadline=datetime.now(UTC) + deadline_in) if deadline_in is not None else job


def make_success(job: Job, text: str = "Paris", attempts: int = 1) -> Succeeded:
    """The result of a job that went well."""
    return Succeeded(
        request_id=job.id.request_id,
        model=job.model,
        completed_at=datetime.now(UTC),
        queue_ms=1.0,
        llm_latency_ms=2.0,
        attempts=attempts,
        retry_count=attempts - 1,
        rate_limited=False,
        message={"role": "assistant", "content": text},
        finish_reason="stop",
        usage=Usage(prompt_tokens=3, completion_tokens=1, total_tokens=4),
    )


def make_failure(job: Job, code: ErrorCode = ErrorCode.UPSTREAM_UNAVAILABLE, attempts: int = 1) -> Failed:
    """The result of a job that failed."""
    return Failed(
        request_id=job.id.request_id,
        model=job.model,
        completed_at=datetime.now(UTC),
        queue_ms=1.0,
        llm_latency_ms=2.0,
        attempts=attempts,
        retry_count=attempts - 1,
        rate_limited=False,
        error=job_error(code, "it failed"),
    )


class RecordingSink:
    """`EventSink` that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type[Event]) -> list[Any]:
        """The events of one class."""
        return [event for event in self.events if isinstance(event, kind)]
