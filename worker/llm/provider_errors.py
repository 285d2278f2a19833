"""What an OpenAI-compatible server's refusal means."""

import contextlib
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from shared.domain.errors import ErrorCode
from worker.ports import LLMError, ModelUnavailable, OutcomeUnknown, RateLimited, Rejected, Unavailable

_LONGEST_WORDS = 500
_LONGEST_PAUSE_SECONDS = 86_400.0
_NO_SUCH_MODEL = "model_not_found"
_KEY = re.compile(r"\bsk-[\w*.-]+")
_CODES = {
    "insufficient_quota": ErrorCode.UPSTREAM_QUOTA_EXCEEDED,
    "billing_hard_limit_reached": ErrorCode.UPSTREAM_QUOTA_EXCEEDED,
    "context_length_exceeded": ErrorCode.CONTEXT_TOO_LONG,
    "exceed_context_size_error": ErrorCode.CONTEXT_TOO_LONG,
    "content_policy_violation": ErrorCode.CONTENT_POLICY,
    "content_filter": ErrorCode.CONTENT_POLICY,
}
_MESSAGES = {
    ErrorCode.UPSTREAM_QUOTA_EXCEEDED: "The provider's quota of this key is used up",
    ErrorCode.CONTEXT_TOO_LONG: "The conversation is longer than the model's context",
    ErrorCode.CONTENT_POLICY: "The provider's content policy refused the request",
}


def provider_error(status: int, headers: Mapping[str, str], body: bytes | bytearray) -> LLMError:
    """The error for an answer that is not 200."""
    error = _error_object(body)
    if known := _known(error):
        return known
    if status < 300:  # noqa: PLR2004
        return OutcomeUnknown(
            ErrorCode.UPSTREAM_INVALID_RESPONSE, f"The provider answered {status}, and no chat completion"
        )
    if status < 400:  # noqa: PLR2004
        message = f"The provider answered {status}; redirects are not followed, because the key would travel"
        return Rejected(ErrorCode.UPSTREAM_REJECTED, message)
    if status in (401, 403):
        # The provider quotes parts of the key here.
        return Rejected(ErrorCode.UPSTREAM_AUTHENTICATION, "The provider refused the API key")
    if status == 429:  # noqa: PLR2004
        return RateLimited("The provider's rate limit is used up", retry_after_seconds=_retry_after(headers))
    if status in (504, 524):
        # Somebody before the model gave up waiting; the model may not have.
        return OutcomeUnknown(ErrorCode.UPSTREAM_TIMEOUT, f"The provider answered {status}")
    if status in (408, 409) or status >= 500:  # noqa: PLR2004
        return _unavailable(status, error)
    message = f"The provider refused the request with {status}"
    refused = ModelUnavailable if status == 404 else Rejected  # noqa: PLR2004
    return refused(ErrorCode.UPSTREAM_REJECTED, message, provider_message=_words(error))


def error_inside(error: Any) -> LLMError:
    """The error for a 200 that carries one: unless it is a known refusal, it may be charged."""
    error = error if isinstance(error, dict) else {"message": error}
    return _known(error) or OutcomeUnknown(
        ErrorCode.UPSTREAM_INVALID_RESPONSE,
        "The provider answered 200 with an error inside",
        provider_message=_words(error),
    )


def words_without_key(words: str | None, key: str) -> str | None:
    """What may be shown of the provider's own words: they may quote the key, or parts of it."""
    if words is None:
        return None
    whole = words.replace(key, "***") if key else words
    return _KEY.sub("sk-***", whole)[:_LONGEST_WORDS]


def _unavailable(status: int, error: dict[str, Any]) -> Unavailable:
    fault = Unavailable(
        ErrorCode.UPSTREAM_UNAVAILABLE, f"The provider answered {status}", provider_message=_words(error)
    )
    fault.blames = "model" if status >= 500 else None  # noqa: PLR2004
    return fault


def _known(error: dict[str, Any]) -> Rejected | None:
    if error.get("code") == _NO_SUCH_MODEL:
        message = "The provider does not have the model, or not for this key"
        return ModelUnavailable(ErrorCode.UPSTREAM_REJECTED, message, provider_message=_words(error))
    code = _CODES.get(str(error.get("code"))) or _CODES.get(str(error.get("type")))
    return Rejected(code, _MESSAGES[code], provider_message=_words(error)) if code else None


def _words(error: dict[str, Any]) -> str | None:
    return str(error.get("message") or "") or None


def _error_object(body: bytes | bytearray) -> dict[str, Any]:
    with contextlib.suppress(orjson.JSONDecodeError):
        parsed = orjson.loads(body)
        error = parsed.get("error") if isinstance(parsed, dict) else None
        if isinstance(error, dict):
            return error
    return {}


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from OpenAI's `retry-after-ms` or from `Retry-After` in either form of RFC 9110."""
    forms: list[tuple[Callable[[str], float], str]] = [
        (_milliseconds, headers.get("retry-after-ms", "")),
        (float, headers.get("retry-after", "")),
        (_seconds_until, headers.get("retry-after", "")),
    ]
    for read, told in forms:
        with contextlib.suppress(ValueError, TypeError, OverflowError):
            if math.isfinite(seconds := read(told)):
                return min(max(0.0, seconds), _LONGEST_PAUSE_SECONDS)
    return None


def _milliseconds(told: str) -> float:
    return float(told) / 1000


def _seconds_until(date: str) -> float:
    return (parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds()
