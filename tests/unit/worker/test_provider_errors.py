"""What a provider's refusal means."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import orjson
import pytest

from shared.domain.errors import ErrorCode
from worker.llm.provider_errors import provider_error, words_without_key
from worker.ports import LLMError, ModelUnavailable, OutcomeUnknown, RateLimited, Rejected, Unavailable


@pytest.mark.parametrize(
    ("status", "error", "kind", "code"),
    [
        (400, {"code": "context_length_exceeded"}, Rejected, ErrorCode.CONTEXT_TOO_LONG),
        (400, {"type": "exceed_context_size_error", "code": 400}, Rejected, ErrorCode.CONTEXT_TOO_LONG),
        (400, {"code": "content_policy_violation"}, Rejected, ErrorCode.CONTENT_POLICY),
        (400, {"code": "anything else"}, Rejected, ErrorCode.UPSTREAM_REJECTED),
        (401, {}, Rejected, ErrorCode.UPSTREAM_AUTHENTICATION),
        (403, {}, Rejected, ErrorCode.UPSTREAM_AUTHENTICATION),
        (404, {"code": "model_not_found"}, ModelUnavailable, ErrorCode.UPSTREAM_REJECTED),
        (429, {}, RateLimited, ErrorCode.UPSTREAM_RATE_LIMITED),
        (429, {"code": "insufficient_quota"}, Rejected, ErrorCode.UPSTREAM_QUOTA_EXCEEDED),
        (500, {}, Unavailable, ErrorCode.UPSTREAM_UNAVAILABLE),
        (503, {}, Unavailable, ErrorCode.UPSTREAM_UNAVAILABLE),
        (504, {}, OutcomeUnknown, ErrorCode.UPSTREAM_TIMEOUT),
        (202, {}, OutcomeUnknown, ErrorCode.UPSTREAM_INVALID_RESPONSE),
        (302, {}, Rejected, ErrorCode.UPSTREAM_REJECTED),
    ],
)
def test_status_and_code_say_what_it_is(
    status: int, error: dict[str, object], kind: type[LLMError], code: ErrorCode
) -> None:
    fault = provider_error(status, {}, orjson.dumps({"error": error}))
    assert (type(fault), fault.code) == (kind, code)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": "text"}', b"\xff"])
def test_any_body_will_do(body: bytes) -> None:
    assert provider_error(502, {}, body).code is ErrorCode.UPSTREAM_UNAVAILABLE


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "-4"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    fault = provider_error(429, headers, b"")
    assert isinstance(fault, RateLimited)
    assert fault.retry_after_seconds == seconds


def test_retry_after_as_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    fault = provider_error(429, {"retry-after": later}, b"")
    assert isinstance(fault, RateLimited)
    assert fault.retry_after_seconds is not None
    assert 50 < fault.retry_after_seconds <= 60


def test_a_refused_key_repeats_nothing_of_what_the_provider_says() -> None:
    body = orjson.dumps({"error": {"message": "Incorrect API key provided: sk-CAN***ARY"}})
    fault = provider_error(401, {}, body)
    assert "sk-" not in f"{fault} {fault.provider_message}"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("the key sk-CAN***ARY is wrong", "the key sk-*** is wrong"),
        ("token caller-secret-1 is wrong", "token *** is wrong"),
        ("a risk-free task-list", "a risk-free task-list"),
        ("x" * 600, "x" * 500),
        (None, None),
    ],
)
def test_the_providers_words_are_shown_without_the_key_and_not_at_any_length(
    words: str | None, shown: str | None
) -> None:
    assert words_without_key(words, "caller-secret-1") == shown
