"""Jobs, runs and results to test with."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import uuid4

from shared.domain.errors import ErrorCode, job_error
from shared.domain.invoke_body import ChatParameters, Message
from shared.domain.job import DEFAULT_OWNER, Job, JobId, ModelDefaults
from shared.domain.result import Failed, Succeeded, Usage
from shared.ports import Run

QUESTION = "fingerprint of a question"
ANOTHER_QUESTION = "fingerprint of another question"
A_CLAIM = "claim"
ANOTHER_CLAIM = "another claim"
DEFAULTS = ModelDefaults("gpt-4o-mini", 0.7, 1000, ("gpt-4o-mini", "gpt-4o"))

REQUEST_ID = "6f0a1c2e-7b3d-4e5f-8a9b-0c1d2e3f4a5b"
CREATED_AT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)

MINIMAL_JOB = Job(
    id=JobId(DEFAULT_OWNER, REQUEST_ID),
    messages=(Message(type="human", content="Grüße, 世界"),),
    model="gpt-4o-mini",
    parameters=ChatParameters(temperature=0.7, max_tokens=1000),
    created_at=CREATED_AT,
    deadline=CREATED_AT + timedelta(seconds=600),
)
FULL_JOB = Job(
    id=JobId("somebody", REQUEST_ID),
    messages=(
        Message(type="system", content="Be brief."),
        Message(type="human", content=[{"type": "text", "text": "look", "detail": None}], name="anna"),
        Message(type="ai", tool_calls=[{"id": "call_1", "type": "function"}]),
        Message(type="tool", content="", tool_call_id="call_1"),
        Message(type="human", content="And now?"),
    ),
    model="gpt-4o",
    parameters=ChatParameters(
        temperature=0.1,
        max_tokens=17,
        top_p=0.3,
        stop=["\n", "END"],
        seed=-7,
        presence_penalty=-1.5,
        frequency_penalty=0.25,
        tools=[{"type": "function", "function": {"name": "f", "parameters": {"a": [1, 2.5, None, True]}}}],
        tool_choice={"type": "function", "function": {"name": "f"}},
        response_format={"type": "json_object"},
        logprobs=True,
        reasoning_effort="low",
    ),
    created_at=CREATED_AT,
    deadline=CREATED_AT + timedelta(seconds=12.345),
    on_unknown="fail",
    metadata={"team": "blau", "empty": ""},
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
)

CHAT_JOB = Job(
    id=JobId(DEFAULT_OWNER, REQUEST_ID),
    messages=(
        Message(type="developer", content="Be brief."),
        Message(type="human", content="Well?"),
        Message(type="ai", content="Hm.", refusal="No.", reasoning_content="They ask."),
    ),
    model="gpt-4o",
    parameters=ChatParameters(
        n=2,
        max_completion_tokens=5,
        top_logprobs=3,
        parallel_tool_calls=False,
        logit_bias={"50256": -100},
        prediction={"type": "content", "content": "x"},
        verbosity="low",
        service_tier="flex",
        prompt_cache_key="cache",
        safety_identifier="hash",
        user="somebody",
        store=False,
    ),
    created_at=CREATED_AT,
    deadline=CREATED_AT + timedelta(seconds=600),
    is_streamed=True,
    is_verbatim=True,
)


def some_job_id(owner: str = DEFAULT_OWNER) -> JobId:
    return JobId(owner, str(uuid4()))


def in_a_minute() -> datetime:
    """In whole milliseconds, which is what stores and records keep."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000) + timedelta(minutes=1)


def run_of(job_id: JobId, fingerprint: str = QUESTION) -> Run:
    """A run with a token of its own."""
    return Run(job_id, secrets.token_hex(16), fingerprint)


def success_of(job_id: JobId, text: str = "Paris", *, attempts: int = 1) -> Succeeded:
    return Succeeded(
        request_id=job_id.request_id,
        model="gpt-4o-mini",
        completed_at=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        queue_ms=1.5,
        llm_latency_ms=312.25,
        attempts=attempts,
        retry_count=attempts - 1,
        rate_limited=False,
        message={"role": "assistant", "content": text, "refusal": None},
        finish_reason="stop",
        confidence=0.1 + 0.2,
        usage=Usage(prompt_tokens=9, completion_tokens=1, total_tokens=10),
    )


def failure_of(
    job_id: JobId,
    code: ErrorCode = ErrorCode.UPSTREAM_RATE_LIMITED,
    *,
    attempts: int = 1,
    status: Literal["failed", "expired", "cancelled"] = "failed",
) -> Failed:
    return Failed(
        status=status,
        request_id=job_id.request_id,
        model="gpt-4o-mini",
        completed_at=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        queue_ms=1.5,
        llm_latency_ms=0.0,
        attempts=attempts,
        retry_count=attempts - 1,
        rate_limited=code is ErrorCode.UPSTREAM_RATE_LIMITED,
        error=job_error(code, "The provider did not answer"),
    )
