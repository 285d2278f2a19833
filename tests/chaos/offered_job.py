"""A job as its caller knows it: what was asked, what came back, and when."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import uuid4

import orjson

ENDED = frozenset({"succeeded", "failed", "expired", "cancelled"})
_REQUEST_LATENCY = re.compile(rb'"request_latency_ms":[^,}]+')


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
    request_id: str = field(default_factory=lambda: str(uuid4()))
    offered_at: float = 0.0
    accepted_at: float | None = None
    posted: Answer | None = None
    """The answer that accepted it."""
    refusals: list[str] = field(default_factory=list)
    first_read: Answer | None = None
    """The first GET /result that said it has ended."""
    second_read: Answer | None = None
    """The same again at the very end."""

    @property
    def is_lost(self) -> bool:
        """Accepted, and no success is stored."""
        return self.accepted_at is not None and status_of(self.first_read) != "succeeded"

    @property
    def completed_at(self) -> float:
        """When the worker had the stored result, to the millisecond below."""
        assert self.first_read
        return datetime.fromisoformat(body_of(self.first_read)["timestamp"]).timestamp()

    @property
    def is_flagged(self) -> bool:
        return (
            self.first_read is not None and body_of(self.first_read).get("possible_duplicate_charge") is True
        )


def body_of(answer: Answer) -> dict[str, Any]:
    body = orjson.loads(answer.body)
    return body if isinstance(body, dict) else {}


def status_of(answer: Answer | None) -> str | None:
    """queued, running, succeeded, failed, ...; None of an answer that speaks of no job."""
    return body_of(answer).get("status") if answer is not None and answer.body else None


def unchanging_bytes(answer: Answer) -> bytes:
    """All of a body that two readings of one result must share."""
    return _REQUEST_LATENCY.sub(b"", answer.body)


def as_first_answered(answer: Answer) -> dict[str, Any]:
    """A body without what says that it is a replay: for a caller who waited, and for one who came later."""
    body = body_of(answer)
    body.pop("cached", None)
    performance = body.get("performance") or {}
    body["performance"] = {
        name: value for name, value in performance.items() if name not in ("request_latency_ms", "cache_hit")
    }
    return body


def make_jobs(count: int, wait_every: int) -> list[OfferedJob]:
    """Every `wait_every`-th caller waits."""
    return [OfferedJob(f"job {number} {uuid4()}", number % wait_every == 0) for number in range(count)]
