"""What an OpenAI-compatible server's refusal means."""

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from shared.domain.errors import ErrorCode
from worker.ports import LLMError, RateLimited, Rejected, Unavailable

_LONGEST_MESSAGE = 500
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


def provider_error(status: int, headers: Mapping[str, str], body: bytes) -> LLMError:
    """The error for an answer that is not 200."""
    error = _error_object(body)
    told = str(error.get("message") or "")[:_LONGEST_MESSAGE] or None
    known = _CODES.get(str(error.get("code"))) or _CODES.get(str(error.get("type")))
    if known is not None:
        return Rejected(known, _MESSAGES[known], provider_message=told)
    if status in (401, 403):
        # The provider quotes parts of the key here.
        return Rejected(ErrorCode.UPSTREAM_AUTHENTICATION, "The provider refused the API key")
    if status == 429:  # noqa: PLR2004
        return RateLimited("The provider's rate limit is used up", retry_after_seconds=_retry_after(headers))
    if status in (408, 409) or status >= 500:  # noqa: PLR2004
        return Unavailable(
            ErrorCode.UPSTREAM_UNAVAILABLE, f"The provider answered {status}", provider_message=told
        )
    message = f"The provider refused the request with {status}"
    return Rejected(ErrorCode.UPSTREAM_REJECTED, message, provider_message=told)


def _error_object(body: bytes) -> dict[str, Any]:
    with contextlib.suppress(orjson.JSONDecodeError):
        parsed = orjson.loads(body)
        error = parsed.get("error") if isinstance(parsed, dict) else None
        if isinstance(error, dict):
            return error
    return {}


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from OpenAI's `retry-after-ms` or from `Retry-After` in either form of RFC 9110."""
    with contextlib.suppress(ValueError, KeyError):
        return max(0.0, float(headers["retry-after-ms"]) / 1000)
    value = headers.get("retry-after", "")
    with contextlib.suppress(ValueError):
        return max(0.0, float(value))
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    return None
