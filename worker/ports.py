"""What comes to the worker, what it asks of the provider, and what can go wrong there.

LLMError
├── RateLimited      429; try again after a while
├── Unavailable      no connection, or 5xx: the provider did no work that it will charge
├── OutcomeUnknown   the call went out and no answer came back: it may be charged
└── Rejected         asking again would fail again
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from shared.domain.errors import ErrorCode
from shared.domain.job import Job
from shared.domain.result import Usage


class Record(Protocol):
    """A Kafka record as it came."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What the provider answered."""

    model: str
    message: dict[str, Any]
    finish_reason: str | None
    confidence: float | None
    usage: Usage | None
    latency_ms: float
    attempts: int = 1
    rate_limited: bool = False
    possible_duplicate_charge: bool = False


class LLMError(Exception):
    """The provider gave no answer."""

    def __init__(self, code: ErrorCode, message: str, *, provider_message: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.provider_message = provider_message
        """The provider's own words: for the caller, never for a log."""
        self.attempts = 1
        self.rate_limited = False
        self.possible_duplicate_charge = False


class RateLimited(LLMError):
    """429."""

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(ErrorCode.UPSTREAM_RATE_LIMITED, message)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(LLMError):
    """No connection, or 5xx."""


class OutcomeUnknown(LLMError):
    """The call went out, and no usable answer came back."""


class Rejected(LLMError):
    """The provider refuses this call."""


class LLMClient(Protocol):
    """One question to a model."""

    async def complete(self, job: Job, attempt: int) -> Completion:
        """The answer, or an `LLMError`. `attempt` counts the provider calls of the job, from 1."""
        ...
