"""A job: one question for a model, with an identity, a deadline and nothing left to default."""

import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple
from uuid import uuid4

from pydantic import SecretStr

from shared.domain.errors import ErrorCode, InvalidRequest, JobError, job_error
from shared.domain.invoke_body import CacheControl, ChatParameters, InvokeBody, Message, given_parameters
from shared.domain.priority import Priority
from shared.domain.validation import short_echo

ANY_MODEL = "*"
DEFAULT_OWNER = "public"
"""Of what comes without a client's name: all of it while auth is off, and records without the header."""
OWNER_RULE = "1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit"
_OWNER = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_TRACE = re.compile("[0-9a-f]{2}-([0-9a-f]{32})-")
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


class JobId(NamedTuple):
    """Each owner has an id space of its own."""

    owner: str
    request_id: str


class RecordPosition(NamedTuple):
    """Where a job's record stands."""

    topic: str
    partition: int
    offset: int


def is_owner(text: str) -> bool:
    """Whether `OWNER_RULE` holds: an owner is part of keys and headers."""
    return _OWNER.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class ModelDefaults:
    """What a body that leaves them out gets, and which models may be asked for."""

    model: str
    temperature: float
    max_tokens: int
    supported_models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """A validated request after defaults."""

    id: JobId
    messages: tuple[Message, ...] = field(repr=False)
    model: str
    parameters: ChatParameters
    created_at: datetime
    deadline: datetime
    is_streamed: bool = False
    """The provider is asked for a stream, and the answer can be read while it is written."""
    cache: CacheControl | None = None
    is_verbatim: bool = False
    """What it leaves out is left to the provider: OpenAI's own API was asked, not `/invoke`."""
    on_unknown: Literal["retry", "fail"] = "retry"
    metadata: dict[str, str] | None = None
    api_key: SecretStr | None = None
    sealed_key: str | None = field(default=None, repr=False)
    """The caller's key as it travels; only a worker can open it."""
    refusal: JobError | None = None
    """Why the job can only fail, and no call is made."""
    traceparent: str | None = None
    record: RecordPosition | None = field(default=None, compare=False)
    """None: it came in none."""
    priority: Priority = field(default="normal", compare=False)
    """The lane it waits in: how soon, not what is asked."""
    is_direct: bool = field(default=False, compare=False)
    """Its record was written by no gateway, so no gateway has a line about it in its log."""
    wait_seconds: float = field(default=0.0, compare=False)
    """How long its caller waits for the answer; 0: nobody does, or nobody says so."""
    fallback_for: str | None = field(default=None, compare=False)
    """The model that was asked for, once a worker asks another one in its place."""
    fingerprint: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not self.fingerprint:
            object.__setattr__(self, "fingerprint", _fingerprint(self))

    def is_waited_for(self, after_seconds: float = 0.0) -> bool:
        """Whether its caller still waits, now or some time after now."""
        waited_seconds = (datetime.now(UTC) - self.created_at).total_seconds()
        return waited_seconds + after_seconds < self.wait_seconds

    @property
    def trace_id(self) -> str | None:
        """Of its W3C trace context."""
        found = _TRACE.match(self.traceparent or "")
        return found[1] if found else None


def job_from_body(
    body: InvokeBody,
    defaults: ModelDefaults,
    *,
    owner: str = DEFAULT_OWNER,
    created_at: datetime | None = None,
    deadline: datetime | None = None,
    traceparent: str | None = None,
    sealed_key: str | None = None,
    fingerprint: str = "",
    is_verbatim: bool = False,
    record: RecordPosition | None = None,
    is_direct: bool = False,
    wait_seconds: float = 0.0,
) -> Job:
    """Apply the defaults; `InvalidRequest` for a model that is not served."""
    model = body.model or defaults.model
    check_supported(model, defaults, str(body.request_id) if body.request_id else None)
    created_at = created_at or datetime.now(UTC)
    return Job(
        id=JobId(owner, str(body.request_id or uuid4())),
        messages=body.conversation(),
        model=model,
        parameters=_parameters(body, defaults, is_verbatim=is_verbatim),
        created_at=created_at,
        deadline=deadline or created_at + timedelta(seconds=body.deadline_seconds),
        is_streamed=body.stream,
        cache=body.cache,
        is_verbatim=is_verbatim,
        on_unknown=body.on_unknown,
        metadata=body.metadata,
        api_key=body.openai_api_key,
        sealed_key=sealed_key,
        traceparent=traceparent,
        record=record,
        is_direct=is_direct,
        wait_seconds=wait_seconds,
        fingerprint=fingerprint,
    )


def check_supported(model: str, defaults: ModelDefaults, request_id: str | None) -> None:
    """`InvalidRequest` for a model that is not served."""
    supported = defaults.supported_models
    if ANY_MODEL in supported or model in supported or model == defaults.model:
        return
    raise InvalidRequest(
        job_error(
            ErrorCode.UNSUPPORTED_MODEL,
            f"model: {short_echo(model)!r} is not served here; allowed: {', '.join(supported)}",
            field="model",
            details={"value": short_echo(model), "allowed": list(supported)},
        ),
        request_id,
    )


def _parameters(body: InvokeBody, defaults: ModelDefaults, *, is_verbatim: bool) -> ChatParameters:
    given = given_parameters(body)
    if given.get("temperature") is None and not is_verbatim:
        given["temperature"] = defaults.temperature
    if given.get("max_tokens") is None and not is_verbatim:
        given["max_tokens"] = defaults.max_tokens
    return ChatParameters(**given)


def _fingerprint(job: Job) -> str:
    """SHA-256 over the canonical JSON of what the provider is asked, and a keyed hash of the key.

    Transport options (deadline, metadata, on_unknown) are left out: the same question asked with more
    patience is the same question.
    """
    meaning = {
        "model": job.model,
        "messages": [message.model_dump(exclude_none=True) for message in job.messages],
        "parameters": job.parameters.model_dump(exclude_none=True),
        "key": _key_hash(job),
    }
    return hashlib.sha256(_CANONICAL.encode(meaning).encode()).hexdigest()


def _key_hash(job: Job) -> str | None:
    # What cannot be opened is still not the question without a key.
    key = job.api_key.get_secret_value() if job.api_key is not None else job.sealed_key
    if key is None:
        return None
    # Keyed, so that the stored hash is of no use outside this service.
    return hashlib.blake2b(key.encode(), key=b"llm-microservice/fingerprint/1").hexdigest()
