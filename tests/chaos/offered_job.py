"""A job as its caller knows it: what was asked, what came back, and when."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import uuid4

import orjson

ENDED = frozenset({"succeeded", "failed", "expired", "cancelled"})
_REQUEST_LATENCY = re.compile(rb'"request_latency_ms":[^,}]+')
_SETTLED_SECONDS = 1.0
_LONGEST_PATIENCE_SECONDS = 4.0
_PRESENT = re.compile(rb'"(trace_id|timestamp)":"[^"]*"')


class Answer(NamedTuple):
    """What a gateway said, at an instant of `time.time`."""

    status: int
    body: bytes
    at: float


@dataclass(slots=True)
class OfferedJob:
    """One job of a campaign; its prompt is its own, so that a foreign answer shows."""

    prompt: str
    is_waiting: bool
    """Whether the caller waits with POST /invoke, or leaves with POST /submit."""
    is_direct: bool = False
    """Whether it is a record that its caller puts on the request topic, past every gateway."""
    has_headers: bool = False
    """Whether that record carries the CloudEvents headers."""
    is_twin: bool = False
    """Whether it is offered twice at once, over two gateways."""
    on_unknown: Literal["retry", "fail"] = "retry"
    deadline_seconds: float | None = None
    request_id: str = field(default_factory=lambda: str(uuid4()))
    offered_at: float = 0.0
    last_offered_at: float = 0.0
    """The last attempt, whose deadline is the latest."""
    accepted_at: float | None = None
    posted: Answer | None = None
    """The answer that accepted it."""
    posted_again: Answer | None = None
    """The answer to its twin."""
    refusals: list[str] = field(default_factory=list)
    look_at: float = 0.0
    """When to read its result next."""
    first_read: Answer | None = None
    """The first GET /result that said it has ended."""
    second_read: Answer | None = None
    """The same again at the very end."""

    @property
    def is_open(self) -> bool:
        """Offered, and not seen to have ended."""
        return self.offered_at > 0 and self.first_read is None

    @property
    def status(self) -> str | None:
        """As first read; None until it has ended."""
        return status_of(self.first_read)

    @property
    def created_by(self) -> float:
        """The latest instant from which its deadline may count."""
        told = (answer.at for answer in (self.posted, self.posted_again) if answer and not self.is_waiting)
        return max(self.last_offered_at, *told, 0.0)

    @property
    def completed_at(self) -> float:
        """When the worker had the stored result, to the millisecond below; of a failure, at the latest."""
        assert self.first_read
        told = datetime.fromisoformat(body_of(self.first_read)["timestamp"]).timestamp()
        return min(told, self.first_read.at)

    @property
    def is_flagged(self) -> bool:
        return (
            self.first_read is not None and body_of(self.first_read).get("possible_duplicate_charge") is True
        )

    def accept(self, answer: Answer) -> None:
        """Who waits is not told when the job was accepted, so it counts from its offer."""
        accepted_at = self.offered_at if self.is_waiting else answer.at
        self.accepted_at = min(accepted_at, self.accepted_at or accepted_at)
        self.look_at = self.accepted_at + _SETTLED_SECONDS
        if self.posted is None:
            self.posted = answer
        else:
            self.posted_again = answer

    def read(self, answer: Answer | None, at: float) -> None:
        """Whose result is long in coming is asked about less often."""
        if status_of(answer) in ENDED:
            self.first_read = answer
        else:
            self.look_at = at + min(at - (self.accepted_at or at), _LONGEST_PATIENCE_SECONDS)

    def read_again(self, answer: Answer | None) -> None:
        """Equal bodies are kept once: a long campaign has a hundred thousand of them."""
        if answer and self.first_read and unchanging_bytes(answer) == unchanging_bytes(self.first_read):
            answer = answer._replace(body=self.first_read.body)
        self.second_read = answer


def body_of(answer: Answer) -> dict[str, Any]:
    body = orjson.loads(answer.body)
    return body if isinstance(body, dict) else {}


def status_of(answer: Answer | None) -> str | None:
    """queued, running, succeeded, failed, ...; None of an answer that speaks of no job."""
    return body_of(answer).get("status") if answer is not None and answer.body else None


def error_code_of(answer: Answer | None) -> str | None:
    """Of a failure."""
    error = body_of(answer).get("error") if answer is not None and answer.body else None
    return error.get("error_code") if error else None


def is_retryable(answer: Answer | None) -> bool:
    """Whether a failure says that the same request may succeed later."""
    error = body_of(answer).get("error") if answer is not None and answer.body else None
    return bool(error and error.get("retryable"))


def unchanging_bytes(answer: Answer) -> bytes:
    """All of a body that two readings of one result share; a failure is told with the time of telling."""
    stable = _REQUEST_LATENCY.sub(b"", answer.body)
    return stable if b'"success":true' in stable else _PRESENT.sub(b"", stable)


def as_first_answered(answer: Answer) -> dict[str, Any]:
    """A body without what says that it is a replay: for a caller who waited, and for one who came later."""
    body = body_of(answer)
    body.pop("cached", None)
    performance = body.get("performance") or {}
    body["performance"] = {
        name: value for name, value in performance.items() if name not in ("request_latency_ms", "cache_hit")
    }
    if not body.get("success"):
        body.pop("timestamp", None)
        body["error"] = {**(body.get("error") or {}), "trace_id": None}
    return body
