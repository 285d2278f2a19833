"""How long a caller waits and how it names its request: RFC 7240 `Prefer`, `?wait=`, `Idempotency-Key`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.domain.errors import ErrorCode, InvalidRequest, job_error
from shared.domain.validation import short_echo


@dataclass(frozen=True, slots=True)
class WaitLimits:
    """Seconds, from the settings."""

    default_seconds: float
    max_seconds: float


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a request asked for, as it will be applied."""

    wait_seconds: float
    is_strict: bool = False
    applied: str | None = None
    """The value of `Preference-Applied`."""


def read_preferences(prefer: str | None, wait: str | None, limits: WaitLimits) -> Preferences:
    """`Prefer: wait=n`, `respond-async`, `handling=strict`, and `?wait=n`, which wins."""
    asked = _parse_prefer(prefer or "")
    is_strict = asked.get("handling") == "strict"
    applied = ["handling=strict"] if is_strict else []
    if wait is not None:
        seconds = _seconds(wait, limits)
        is_async = seconds == 0 and "respond-async" in asked
        return Preferences(seconds, is_strict, _join([*applied, "respond-async"] if is_async else applied))
    if "respond-async" in asked:
        return Preferences(0, is_strict, _join([*applied, "respond-async"]))
    if "wait" in asked:
        seconds = _seconds(asked["wait"], limits)
        return Preferences(seconds, is_strict, _join([*applied, f"wait={seconds:g}"]))
    return Preferences(limits.default_seconds, is_strict, _join(applied))


def read_idempotency_key(headers: Sequence[str], body_id: UUID | None) -> UUID | None:
    """The request id that the headers or the body carry; `InvalidRequest` if they differ."""
    if not headers:
        return body_id
    key, *others = [_uuid(header.strip().strip('"')) for header in headers]
    if any(other != key for other in others) or (body_id is not None and body_id != key):
        raise InvalidRequest(
            job_error(
                ErrorCode.REQUEST_ID_MISMATCH,
                "Idempotency-Key and request_id differ; send one of them, or the same value twice",
                field="request_id",
            ),
            str(body_id) if body_id is not None else None,
        )
    return key


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        error = job_error(
            ErrorCode.INVALID_FIELD,
            "Idempotency-Key: must be a UUID",
            field="Idempotency-Key",
            details={"value": short_echo(text), "expected": "UUID"},
        )
        raise InvalidRequest(error) from None


def _parse_prefer(header: str) -> dict[str, str]:
    preferences: dict[str, str] = {}
    for part in header.replace(";", ",").split(","):
        name, _, value = part.partition("=")
        preferences.setdefault(name.strip().lower(), value.strip().strip('"').lower())
    return preferences


def _seconds(text: str, limits: WaitLimits) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < math.inf:
        raise InvalidRequest(
            job_error(
                ErrorCode.INVALID_FIELD,
                f"wait: {short_echo(text)[:20]!r} is not a number of seconds; "
                f"allowed: 0 to {limits.max_seconds:g}",
                field="wait",
            )
        )
    return min(seconds, limits.max_seconds)


def _join(applied: list[str]) -> str | None:
    return ", ".join(applied) or None
