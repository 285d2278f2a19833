"""One thing that is known of a request, and where it is written. Never content, never a key."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from shared.domain.timestamps import rfc3339
from worker.dead_letters import headers as dlq
from worker.dead_letters.letter import DeadLetter, printable_text
from worker.ports import Record

REQUEST, RESULT, ATTEMPT, FINISHED, FAILED, BURIED, LETTER = (
    "accepted",
    "result",
    "attempt",
    "finished",
    "failed",
    "dead_lettered",
    "dead_letter",
)
_ORDER = (REQUEST, ATTEMPT, RESULT, FINISHED, FAILED, BURIED, LETTER)
_EVENTS = {"provider_called": ATTEMPT, "job_finished": FINISHED, "job_failed": FAILED}
_REQUEST_FACTS = ("model", "stream", "on_unknown", "deadline_seconds")
_RESULT_FACTS = ("status", "model", "cached", "cost_usd", "possible_duplicate_charge", "total_ms", "retries")
_UNTOLD = frozenset({"event", "timestamp", "owner", "request_id", "metadata", "error"})


@dataclass(frozen=True, slots=True)
class Entry:
    """What happened, when, and where that is written."""

    time: str
    what: str
    where: str
    owner: str | None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def order(self) -> tuple[str, int]:
        """By time, and within a millisecond as things follow from each other."""
        return self.time, _ORDER.index(self.what)

    def line(self) -> str:
        facts = "  ".join(f"{name}={_shown(value)}" for name, value in self.facts.items())
        return f"{self.time:<24}  {self.what:<13}  {self.where:<28}  {facts}"


def from_request(record: Record) -> Entry:
    """A record on the topic of requests: who accepted it, and when."""
    headers, body = _texts(record), _parsed(record.value)
    facts = {
        "by": headers.get("ce_source", "a direct producer"),
        "expires": headers.get("ce_expirytime"),
        "trace": headers.get("traceparent"),
        **{name: body.get(name) for name in _REQUEST_FACTS},
        "bytes": len(record.value or b""),
    }
    return _entry(record, REQUEST, headers.get("llm_owner"), facts, headers.get("ce_time"))


def from_result(record: Record) -> Entry:
    """A record on the topic of results."""
    headers, body = _texts(record), _parsed(record.value)
    performance, usage, error = (body.get(name) or {} for name in ("performance", "usage", "error"))
    facts = {
        "by": headers.get("ce_source"),
        **{name: body.get(name) for name in _RESULT_FACTS},
        "error_code": error.get("error_code"),
        **{name: performance.get(name) for name in ("attempts", "retry_count", "queue_ms", "llm_latency_ms")},
        **{name: usage.get(name) for name in ("prompt_tokens", "completion_tokens")},
    }
    return _entry(record, RESULT, headers.get("llm_owner"), facts, headers.get("ce_time"))


def from_letter(record: Record) -> Entry:
    """A dead letter, or the mark that one was redriven."""
    letter, headers = DeadLetter(record), _texts(record)
    facts = {
        "reason": letter.reason,
        "message": letter.told(dlq.MESSAGE),
        "origin": f"{letter.origin} {letter.told(dlq.PARTITION)}/{letter.told(dlq.OFFSET)}",
        "redrives": dlq.redrives_of(dict(record.headers)),
        "redriven_offset": letter.told(dlq.REDRIVEN),
    }
    return _entry(record, LETTER, headers.get("llm_owner"), facts, rfc3339(letter.died_at))


def from_event(line: bytes, where: str) -> Entry | None:
    """A fact; None if it is none."""
    fact = _parsed(line)
    what = _EVENTS.get(str(fact.get("event")))
    if what is None:
        return None
    if what == FAILED and fact.get("topic") is not None:
        what = BURIED
    facts = {name: value for name, value in fact.items() if name not in _UNTOLD}
    if isinstance(error := fact.get("error"), dict):
        facts |= {"error_code": error.get("error_code"), "message": error.get("message")}
    return Entry(str(fact.get("timestamp")), what, where, fact.get("owner"), dict(_told(facts)))


def place_of(record: Record) -> str:
    return f"{record.topic} {record.partition}/{record.offset}"


def request_id_in(value: bytes | None) -> str | None:
    """Which id a value is about."""
    told = _parsed(value).get("request_id")
    return told if isinstance(told, str) else None


def _entry(
    record: Record, what: str, owner: str | None, facts: Mapping[str, Any], told_at: str | None
) -> Entry:
    written_at = rfc3339(datetime.fromtimestamp(max(record.timestamp, 0) / 1000, UTC))
    time = printable_text(told_at) if told_at else written_at
    return Entry(time, what, place_of(record), owner, dict(_told(facts)))


def _told(facts: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What is known; anybody may have written the texts."""
    for name, value in facts.items():
        if value is not None:
            yield name, printable_text(value) if isinstance(value, str) else value


def _texts(record: Record) -> dict[str, str]:
    return {name: value.decode(errors="replace") for name, value in record.headers if value is not None}


def _parsed(value: bytes | None) -> dict[str, Any]:
    try:
        parsed = orjson.loads(value or b"")
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _shown(value: object) -> str:
    return str(value) if isinstance(value, str | int | float) else orjson.dumps(value).decode()
