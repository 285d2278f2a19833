"""The one stored, immutable result of a job."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from shared.domain.errors import JobError

Status = Literal["queued", "running", "succeeded", "failed", "expired", "cancelled"]


class Usage(BaseModel):
    """Tokens as the provider counted them."""

    model_config = ConfigDict(frozen=True)

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class _Ended(BaseModel):
    model_config = ConfigDict(frozen=True)

    request_id: str
    model: str
    completed_at: datetime
    queue_ms: float
    llm_latency_ms: float
    attempts: int
    """Provider calls made for this job, over all its runs."""
    retry_count: int
    rate_limited: bool
    total_ms: float = 0.0
    """From when the job was asked for to its end."""
    retries: dict[str, int] | None = None
    """Calls of this run that were repeated, by why; None: none was."""
    possible_duplicate_charge: bool = False
    cost_usd: float | None = None
    """Of the answer; None: not known."""
    metadata: dict[str, str] | None = None


class Succeeded(_Ended):
    """The provider answered."""

    status: Literal["succeeded"] = "succeeded"
    message: dict[str, Any]
    """The whole assistant message in OpenAI's shape, tool calls included."""
    finish_reason: str | None = None
    confidence: float | None = None
    """Geometric mean of the token probabilities; None when the provider gave no logprobs."""
    usage: Usage | None = None
    provider_answer: dict[str, Any] | None = None
    """All that the provider sent, but for the message of its first choice, which is `message`."""
    is_fallback: bool = Field(default=False, exclude=True)
    """Another model than the one that was asked for made it; known where it was made."""
    from_cache: Literal[True] | None = None
    """Another job's call made it."""


class Failed(_Ended):
    """The job ended without an answer."""

    status: Literal["failed", "expired", "cancelled"] = "failed"
    error: JobError


JobResult = Annotated[Succeeded | Failed, Field(discriminator="status")]

_ADAPTER: TypeAdapter[Succeeded | Failed] = TypeAdapter(JobResult)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def dump_result(result: Succeeded | Failed) -> bytes:
    """The stored form of a result."""
    return result.model_dump_json(exclude_none=True).encode()


def load_result(stored: bytes) -> Succeeded | Failed:
    """The result that `dump_result` stored."""
    return _ADAPTER.validate_json(stored)


def is_asked_anew(result: Succeeded | Failed, asked_at: datetime | None) -> bool:
    """Whether `asked_at` is later than a failure that may pass, in whole milliseconds."""
    return (
        asked_at is not None
        and may_run_again(result)
        and instant_ms(asked_at) > instant_ms(result.completed_at)
    )


def passing_since_ms(result: Succeeded | Failed) -> int:
    """When a failure that may pass ended, in milliseconds since 1970; 0 for everything final."""
    return instant_ms(result.completed_at) if may_run_again(result) else 0


def instant_ms(instant: datetime) -> int:
    """Milliseconds since 1970."""
    return (instant - _EPOCH) // timedelta(milliseconds=1)


def may_run_again(result: Succeeded | Failed) -> bool:
    """A failure that may pass is tried again when its id is asked again; everything else is final."""
    return isinstance(result, Failed) and result.status == "failed" and result.error.retryable
