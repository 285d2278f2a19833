"""What comes to the worker, what it asks of the provider, and what can go wrong there.

LLMError
├── RateLimited      429; try again after a while
├── Unavailable      no connection, or 5xx: the provider did no work that it will charge
│   └── CircuitOpen  it has failed too often just now: nothing was asked
├── OutcomeUnknown   the call went out and no answer came back: it may be charged
└── Rejected         asking again would fail again
    └── ModelUnavailable  another model may answer
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from shared.domain.errors import ErrorCode
from shared.domain.job import Job, JobId
from shared.domain.result import Failed, Succeeded, Usage
from shared.ports import Run


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
    answer: dict[str, Any] | None = None
    """All that the provider sent, but for `message`."""
    cached_tokens: int = 0
    """Of the prompt: the provider had them cached, and charges less."""
    cost_usd: float | None = None
    """None: the price is not known."""
    is_fallback: bool = False
    """Another model than the one that was asked for."""
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
        self.retry_after_seconds: float | None = None
        """None: nobody knows."""


class RateLimited(LLMError):
    """429."""

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(ErrorCode.UPSTREAM_RATE_LIMITED, message)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(LLMError):
    """No connection, or 5xx."""

    blames: Literal["provider", "model"] | None = None
    """Who has failed for sure; None: it may pass with the next call."""


class CircuitOpen(Unavailable):
    """It has failed too often just now: nothing was asked."""

    def __init__(self, message: str, retry_after_seconds: float) -> None:
        super().__init__(ErrorCode.UPSTREAM_UNAVAILABLE, message)
        self.attempts = 0
        self.retry_after_seconds = retry_after_seconds


class OutcomeUnknown(LLMError):
    """The call went out, and no usable answer came back."""


class Rejected(LLMError):
    """The provider refuses this call."""


class ModelUnavailable(Rejected):
    """The provider has no such model for this key."""


class ResultLog(Protocol):
    """Where a second copy of every result is kept, for direct producers and for when the store is away."""

    async def append(self, run: Run, result: Succeeded | Failed) -> None:
        """Return when the copy is kept; `ResultLogUnavailable` otherwise."""
        ...

    async def has_ended(self, job_id: JobId, since: float) -> bool:
        """Whether a final result of the job was logged since then (Unix seconds); `ResultLogUnavailable`."""
        ...


class ResultReader(Protocol):
    """The same log, read."""

    def read(self, since: float) -> AsyncIterator[Sequence[tuple[Run, Succeeded | Failed]]]:
        """From `since` (Unix seconds) to what is the end now; `ResultLogUnavailable` if that stays away."""
        ...


class RestorableStore(Protocol):
    """A store that takes copies of results."""

    async def restore(self, run: Run, result: Succeeded | Failed) -> Succeeded | Failed | None:
        """Store it unless a result is there."""
        ...


@dataclass(frozen=True, slots=True)
class StoreCondition:
    """Which data the store holds, and how much of it is there."""

    server_run: str
    """Another after every restart or failover: the last moments may be missing."""
    data_id: str
    """Made when the data began; another when the store came back empty."""
    whole_until: float
    """Unix seconds: every result that was logged before is in the store. 0 in a new one."""


class ConditionKeeper(Protocol):
    """Where the workers agree on the condition of the store; raises `StoreUnavailable`."""

    async def read(self) -> StoreCondition: ...

    async def is_leading(self) -> bool:
        """Whether this worker is the one that restores, now and for the next 30 s."""
        ...

    async def mark_whole(self, condition: StoreCondition, until: float) -> None:
        """Nothing logged before `until` is missing in the data of `condition`; who led does so no longer."""
        ...


@dataclass(slots=True)
class CallHistory:
    """The provider calls of one run, up to date also when the run is cut off."""

    first_attempt: int
    """The number of the first call, over all runs of the job, from 1."""
    calls: int = 0
    rate_limited: bool = False
    unknown_outcomes: int = 0
    faults: list[str] = field(default_factory=list)
    """How the calls ended that gave no answer, as error codes."""

    @property
    def retries(self) -> dict[str, int] | None:
        """The calls that were repeated, by why; None: none was."""
        return dict(Counter(self.faults[: max(0, self.calls - 1)])) or None

    @property
    def may_have_charged_twice(self) -> bool:
        """One unknown outcome is one possible charge; it is a duplicate only if the call was repeated."""
        return self.unknown_outcomes > 0 and self.calls > 1


Tell = Callable[[dict[str, Any]], None]
"""Hears every chunk of an answer that is streamed, as soon as it comes; it never waits."""


class Partial(Protocol):
    """An answer while it is written."""

    def add(self, chunk: dict[str, Any]) -> None:
        """The provider's next chunk."""
        ...

    def retrying(self, attempt: int, *, is_first_here: bool) -> None:
        """A new attempt begins, and the answer with it."""
        ...


class PatientLLMClient(Protocol):
    """One question to a model, asked again while that can help."""

    async def complete(self, job: Job, history: CallHistory, partial: Partial | None = None) -> Completion:
        """The answer, or the last `LLMError`; every call is noted in `history`.

        With `partial`, the provider is asked for a stream.
        """
        ...


class LLMClient(Protocol):
    """One question to a model, asked once."""

    async def complete(self, job: Job, attempt: int, tell: Tell | None = None) -> Completion:
        """The answer, or an `LLMError`. `attempt` counts the provider calls of the job, from 1."""
        ...
