"""Facts about jobs, in the past tense. None holds a prompt, an answer or a key.

A fact may be told twice; then `event`, `owner`, `request_id`, `attempt` (of a job: `attempts`) and
`timestamp` are equal; a job's record may be another one. Calls of a run that died may have been numbered as
those of the next run are; their times differ.

Nothing changes one; yet they are not declared frozen, which would cost 3 µs of a job, and have no slots,
which orjson reads three times slower.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from shared.domain.priority import Priority
from shared.domain.replica import replica_name
from shared.domain.timestamps import rfc3339_now


@dataclass(kw_only=True)
class ProviderCalled:
    """One provider attempt, on `llm-metrics`."""

    owner: str
    request_id: str
    model: str
    """That was asked."""
    attempt: int
    outcome: str
    latency_ms: float
    response_model: str | None = None
    """That answered."""
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    """Of the prompt: the provider had them cached."""
    completion_tokens: int | None = None
    cost_usd: float | None = None
    fallback_for: str | None = None
    """The model that the job named, if another one was asked."""
    event: Literal["provider_called"] = "provider_called"
    timestamp: str = field(default_factory=rfc3339_now)
    worker: str = field(default_factory=replica_name)


@dataclass(kw_only=True)
class JobFinished:
    """One finished job, on `llm-metrics`. Tokens and dollars: null if another's call served it.

    Its time is when the job ended.
    """

    owner: str
    request_id: str
    model: str
    status: str
    error_code: str | None
    attempts: int
    retry_count: int
    retries: dict[str, int] | None
    """Calls that were repeated, by why."""
    rate_limited: bool
    cached: bool
    queue_ms: float
    llm_latency_ms: float
    total_ms: float
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: float | None
    possible_duplicate_charge: bool
    metadata: dict[str, str] | None
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    """Where its record stands, if it came in one."""
    priority: Priority = "normal"
    event: Literal["job_finished"] = "job_finished"
    timestamp: str = field(default_factory=rfc3339_now)
    worker: str = field(default_factory=replica_name)


@dataclass(kw_only=True)
class JobFailed:
    """A job that failed or a record that could not become one, on `llm-errors`."""

    owner: str | None
    request_id: str | None
    error: dict[str, Any]
    attempt: int
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    event: Literal["job_failed"] = "job_failed"
    timestamp: str = field(default_factory=rfc3339_now)
    worker: str = field(default_factory=replica_name)


Event = ProviderCalled | JobFinished | JobFailed
