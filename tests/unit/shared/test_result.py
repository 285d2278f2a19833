"""A result is stored and read without a change, and says whether asking again can help."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from shared.domain.errors import RETRYABLE_CODES, TYPE_OF_CODE, ErrorCode, job_error
from shared.domain.result import Failed, Succeeded, Usage, dump_result, load_result, may_run_again

ENDED: dict[str, Any] = {
    "request_id": "6f0a1c2e-7b3d-4e5f-8a9b-0c1d2e3f4a5b",
    "model": "gpt-4o-mini",
    "completed_at": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    "queue_ms": 1.5,
    "llm_latency_ms": 312.25,
    "attempts": 2,
    "retry_count": 1,
    "rate_limited": False,
}
SUCCEEDED = Succeeded(**ENDED, message={"role": "assistant", "content": "Paris"})


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"message": {}},
        {"message": {"content": None, "tool_calls": [{"function": {"arguments": '{"a": null}'}}]}},
        {"message": {"content": "\u0000\u2028 \U0001f680 é e\u0301 \\ \" '"}},
        {"message": {"content": "x" * 1_000_000}},
        {"message": {"big": 2**70, "small": 5e-324, "nested": [[[{"a": [None, True, 1.5]}]]]}},
        {"finish_reason": "length"},
        {"confidence": 0.1 + 0.2},
        {"confidence": 0.0},
        {"usage": Usage(prompt_tokens=0, completion_tokens=0, total_tokens=0)},
        {"possible_duplicate_charge": True},
        {"metadata": {"team": "blau", "": ""}},
        {"completed_at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))},
        {"queue_ms": 0.001, "llm_latency_ms": 1e9},
    ],
    ids=lambda change: str(change)[:60],
)
def test_a_success_is_read_as_it_was_stored(change: dict[str, Any]) -> None:
    result = SUCCEEDED.model_copy(update=change)
    assert load_result(dump_result(result)) == result


@pytest.mark.parametrize("status", ["failed", "expired"])
@pytest.mark.parametrize("code", ErrorCode)
def test_a_failure_is_read_as_it_was_stored(code: ErrorCode, status: str) -> None:
    error = job_error(code, "what happened", field="model", details={"a": [1, None], "b": {"c": "d"}})
    result = Failed.model_validate(ENDED | {"status": status, "error": error})
    read = load_result(dump_result(result))
    assert read == result
    assert isinstance(read, Failed)
    assert read.error.error_type is TYPE_OF_CODE[code]


def test_what_a_newer_version_adds_does_not_hinder_reading() -> None:
    stored = dump_result(SUCCEEDED).replace(b'{"request_id"', b'{"surprise": {"a": 1}, "request_id"')
    assert load_result(stored) == SUCCEEDED


def test_what_an_older_version_left_out_has_a_default() -> None:
    stored = dump_result(SUCCEEDED).replace(b'"possible_duplicate_charge":false,', b"")
    assert b"possible_duplicate_charge" not in stored
    assert load_result(stored) == SUCCEEDED


@pytest.mark.parametrize("stored", [b"", b"{}", b"null", b'{"status": "running"}', b"\xff"])
def test_what_is_no_result_is_not_read_as_one(stored: bytes) -> None:
    with pytest.raises(ValidationError):
        load_result(stored)


def test_a_result_is_immutable() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        SUCCEEDED.status = "succeeded"  # type: ignore[misc] # that is the point


# --- Asking again ---

MAY_PASS = {
    ErrorCode.UPSTREAM_RATE_LIMITED,
    ErrorCode.UPSTREAM_UNAVAILABLE,
    ErrorCode.UPSTREAM_TIMEOUT,
    ErrorCode.UPSTREAM_AUTHENTICATION,
    ErrorCode.UPSTREAM_QUOTA_EXCEEDED,
    ErrorCode.UPSTREAM_INVALID_RESPONSE,
    ErrorCode.INTERNAL_ERROR,
}
"""Of what can be stored as a job's end: 429, 5xx, timeout, refused key, no quota, and a fault of ours."""

ENDS = MAY_PASS | {
    ErrorCode.UPSTREAM_REJECTED,
    ErrorCode.CONTEXT_TOO_LONG,
    ErrorCode.CONTENT_POLICY,
    ErrorCode.UNKNOWN_OUTCOME,
    ErrorCode.TOO_MANY_RUNS,
}


@pytest.mark.parametrize("code", sorted(ENDS))
def test_a_failure_runs_again_only_if_it_may_pass(code: ErrorCode) -> None:
    failure = Failed(**ENDED, error=job_error(code, "what happened"))
    assert failure.error.retryable is (code in MAY_PASS)
    assert may_run_again(failure) is (code in MAY_PASS)


def test_a_success_and_an_expired_job_never_run_again() -> None:
    assert not may_run_again(SUCCEEDED)
    error = job_error(ErrorCode.UPSTREAM_TIMEOUT, "what happened")
    assert not may_run_again(Failed(**ENDED, status="expired", error=error))


def test_every_code_has_one_type() -> None:
    assert set(TYPE_OF_CODE) == set(ErrorCode)
    assert set(ErrorCode) >= RETRYABLE_CODES
