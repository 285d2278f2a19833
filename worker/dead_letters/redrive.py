"""What a redrive sends, and which letters it leaves out."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID, uuid5

from shared.domain.errors import TYPE_OF_CODE, ErrorCode, ErrorType, InvalidRequest
from shared.domain.job import ModelDefaults
from shared.domain.priority import lanes_of
from shared.wire import job_from_record
from worker.dead_letters.headers import REDRIVES, Headers, encode, original_headers, redrives_of
from worker.dead_letters.letter import DeadLetter

_TIMES = frozenset({"ce_time", "ce_expirytime"})
_UNCHARGED = frozenset(code.value for code in ErrorCode if TYPE_OF_CODE[code] is ErrorType.VALIDATION)
"""Refused before any call. Every other reason, also one this version does not know, may have cost money."""


class LeftOut(StrEnum):
    """Why a letter is not redriven, and what would change that."""

    REDRIVEN = "redriven already"
    HELD_KEY = "held a key in the clear, which is not kept here and not sent again (its producer may seal it)"
    TOO_LARGE = "too large to be kept here: the original may still stand at its origin (see show)"
    OTHER_TOPIC = "not from a configured request topic (--to TOPIC says where they shall go)"
    MAY_BE_CHARGED = "may have been charged already (--allow-paid-again)"
    FAILURE_STORED = (
        "their failure is stored and final, a redrive under the same id would only find it (--new-ids)"
    )
    NO_ID = "hold no request_id that --new-ids could replace"
    SEALED = (
        "hold a key sealed for their own request_id and deadline, which a new one would not fit; without "
        "their key they are not sent either (let their producer ask anew)"
    )
    EXPIRED = "past their deadline, they would only expire (--fresh-deadlines)"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """The record that goes back."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    old_id: str | None = None
    new_id: str | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """How to redrive, and what must not be."""

    request_topic: str
    """Of the normal lane; a letter goes back to the lane that it came from."""
    defaults: ModelDefaults
    retention: timedelta
    to: str | None = None
    allow_paid_again: bool = False
    new_ids: bool = False
    fresh_deadlines: bool = False

    def left_out(self, letter: DeadLetter) -> LeftOut | None:
        """Why not, or None."""
        if (never := _never_sent(letter)) is not None:
            return never
        if self.to is None and letter.origin not in lanes_of(self.request_topic).values():
            return LeftOut.OTHER_TOPIC
        if may_be_charged(letter) and not self.allow_paid_again:
            return LeftOut.MAY_BE_CHARGED
        if (self.new_ids or self.fresh_deadlines) and _is_sealed(letter.record.value):
            return LeftOut.SEALED
        if self.new_ids:
            return None if _request_id(letter.record.value) else LeftOut.NO_ID
        if self._has_stored_failure(letter):
            return LeftOut.FAILURE_STORED
        return LeftOut.EXPIRED if self._is_expired(letter) else None

    def outgoing(self, letter: DeadLetter) -> Outgoing:
        """The original without our headers; only the count of redrives goes along."""
        record = letter.record
        headers = original_headers(record.headers)
        if self.fresh_deadlines or self.new_ids:
            headers = [(name, value) for name, value in headers if name not in _TIMES]
        count = encode({REDRIVES: str(redrives_of(dict(record.headers)) + 1)})
        topic = self.to or letter.origin
        if self.new_ids:
            return _renamed(letter, topic, headers, count)
        return Outgoing(topic, record.key, record.value, [*headers, *count])

    def dies_again(self, letter: DeadLetter) -> bool:
        """A worker with these settings would refuse it as it is."""
        try:
            self._deadline(letter)
        except InvalidRequest:
            return True
        return False

    def _has_stored_failure(self, letter: DeadLetter) -> bool:
        """The store forgets it with its retention; then the id is free again."""
        forgotten_at = letter.died_at + self.retention
        return letter.reason == ErrorCode.TOO_MANY_RUNS and datetime.now(UTC) < forgotten_at

    def _is_expired(self, letter: DeadLetter) -> bool:
        try:
            return self._deadline(letter) <= datetime.now(UTC)
        except InvalidRequest:
            return False  # a worker says what is wrong before it looks at the deadline

    def _deadline(self, letter: DeadLetter) -> datetime:
        record = self.outgoing(letter)
        now_ms = int(datetime.now(UTC).timestamp() * 1000)
        return job_from_record(record.value, record.headers, now_ms, self.defaults).deadline


def may_be_charged(letter: DeadLetter) -> bool:
    return letter.reason not in _UNCHARGED


def _renamed(
    letter: DeadLetter, topic: str, headers: Sequence[tuple[str, bytes]], count: Headers
) -> Outgoing:
    """The same question under an id of its own.

    The id follows from the old one and the letter's position: a redrive that is repeated because its mark
    got lost sends the same id, and the store sees the duplicate.
    """
    old_id = _request_id(letter.record.value)
    if old_id is None:
        raise ValueError(f"letter {letter.position} holds no request_id")
    new_id = str(uuid5(UUID(old_id), f"{letter.record.topic}/{letter.position}"))
    body = json.loads(letter.record.value or b"") | {"request_id": new_id}
    renamed = [(name, new_id.encode() if name == "ce_id" else value) for name, value in headers]
    value = json.dumps(body, separators=(",", ":")).encode()
    return Outgoing(topic, new_id.encode(), value, [*renamed, *count], old_id, new_id)


def _never_sent(letter: DeadLetter) -> LeftOut | None:
    if letter.redriven:
        return LeftOut.REDRIVEN
    if letter.held_key:
        return LeftOut.HELD_KEY
    return LeftOut.TOO_LARGE if letter.is_left_out else None


def _request_id(value: bytes | None) -> str | None:
    try:
        return str(UUID(json.loads(value or b"")["request_id"]))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _is_sealed(value: bytes | None) -> bool:
    try:
        return json.loads(value or b"").get("sealed_openai_api_key") is not None
    except (ValueError, AttributeError, RecursionError):
        return False
