"""The shapes of the answers, for `/openapi.json`: nothing is validated with them at run time."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from shared.domain.errors import JobError
from shared.domain.result import Usage


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Completion(_Answer):
    """What the model said."""

    response: str
    confidence: float | None
    message: dict[str, Any]
    finish_reason: str | None


class Performance(_Answer):
    """Where the time went."""

    request_latency_ms: float
    llm_latency_ms: float
    queue_ms: float
    cache_hit: bool
    retry_count: int
    attempts: int
    rate_limited: bool


class _Ended(_Answer):
    performance: Performance
    model: str
    cached: bool
    cost_usd: float | None
    possible_duplicate_charge: bool
    metadata: dict[str, str] | None


class SucceededAnswer(_Ended):
    """200 of a job."""

    success: Literal[True]
    request_id: str
    status: Literal["succeeded"]
    data: Completion
    usage: Usage | None
    timestamp: datetime
    error: None


class AcceptedAnswer(_Answer):
    """202 of a job."""

    success: Literal[True]
    request_id: str
    status: Literal["queued", "running"]
    status_url: str
    events_url: str
    cancel_url: str
    expires_at: datetime


class ErrorObject(JobError):
    """The `error` of an answer."""

    model_config = ConfigDict(extra="forbid")

    trace_id: str


class ErrorAnswer(_Answer):
    """A request that was refused."""

    success: Literal[False]
    request_id: str | None
    error: ErrorObject
    timestamp: datetime


class FailedAnswer(_Ended, ErrorAnswer):
    """A job that ended without an answer."""

    status: Literal["failed", "expired", "cancelled"]
    data: None
    usage: None


class HealthAnswer(_Answer):
    """`GET /health`."""

    status: Literal["healthy", "degraded"]
    service: str
    version: str
    mode: str
    durable: bool
    dependencies: dict[str, str]


class ProbeAnswer(_Answer):
    """`GET /health/live` and `/health/ready`."""

    status: Literal["alive", "ready", "unavailable"]


class Percentiles(_Answer):
    """Of durations in milliseconds, to 1 %; null where nothing was counted."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None


class Latencies(_Answer):
    """From request to end, from request to begin, and of the provider's answers."""

    end_to_end: Percentiles
    queue: Percentiles
    provider: Percentiles


class ModelFigures(_Answer):
    """What one model answered and cost."""

    answers: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float


class Figures(_Answer):
    """All that is counted in a time. Answers from the cache and replays spend nothing."""

    requests: dict[str, int]
    provider_calls: int
    retries: dict[str, int]
    errors: dict[str, int]
    service_faults: int
    """Errors among them that no caller can mend."""
    cache: dict[str, int]
    tokens: dict[str, int]
    cost_usd: float
    unpriced_answers: int
    models: dict[str, ModelFigures]
    possible_duplicate_charges: int
    latency_ms: Latencies


class FiguresSince(Figures):
    """Since `since`; null: nothing was ever counted."""

    since: datetime | None


class QueueState(_Answer):
    """How full the queue of the whole service is; all null while no worker says so."""

    lag: int | None
    drain_per_second: float | None
    expected_wait_seconds: float | None


class Verdict(_Answer):
    """How the service is, and why it is not well."""

    state: Literal["well", "degraded", "failing"]
    reasons: list[str]


class ReplicaAnswer(_Answer):
    """A process of the service, as it spoke of itself last."""

    kind: Literal["gateway", "worker", "one process"]
    name: str
    version: str
    started_at: datetime
    state: Literal["well", "leaving", "no kafka", "silent"]
    busy: int
    room: int
    silent_seconds: float


class FailedJobAnswer(_Answer):
    """One of the caller's own last failures."""

    request_id: str
    model: str
    status: Literal["failed", "expired", "cancelled"]
    error_code: str
    retryable: bool
    attempts: int
    total_ms: float
    completed_at: datetime


class StatsAnswer(_Answer):
    """`GET /stats`."""

    timestamp: datetime
    mode: str
    scope: Literal["cluster", "process"]
    verdict: Verdict
    dependencies: dict[str, bool | None]
    queue: QueueState
    in_flight: int | None
    waiting: int
    total: FiguresSince
    last_1_minute: Figures
    last_5_minutes: Figures
    last_60_minutes: Figures
    replicas: list[ReplicaAnswer]
    failed_jobs: list[FailedJobAnswer]


class PublicKey(_Answer):
    """A key to seal with (RFC 8037)."""

    kty: Literal["OKP"]
    crv: Literal["X25519"]
    x: str
    kid: str
    use: Literal["enc"]
    alg: Literal["ECDH-ES"]


class JwksAnswer(_Answer):
    """`GET /.well-known/jwks.json`."""

    keys: list[PublicKey]
