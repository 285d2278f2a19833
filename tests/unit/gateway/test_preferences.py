"""How long a caller waits, and how it names its request."""

from uuid import UUID

import pytest

from gateway.preferences import Preferences, WaitLimits, read_idempotency_key, read_preferences
from shared.domain.errors import InvalidRequest

LIMITS = WaitLimits(default_seconds=55, max_seconds=300)
ID = UUID("550e8400-e29b-41d4-a716-446655440000")


@pytest.mark.parametrize(
    ("prefer", "wait", "expected"),
    [
        (None, None, Preferences(55)),
        ("wait=10", None, Preferences(10, applied="wait=10")),
        ("wait=1000", None, Preferences(300, applied="wait=300")),
        ("Wait = 10", None, Preferences(10, applied="wait=10")),
        ("respond-async", None, Preferences(0, applied="respond-async")),
        ("respond-async, wait=10", None, Preferences(0, applied="respond-async")),
        ("handling=strict, wait=5", None, Preferences(5, is_strict=True, applied="handling=strict, wait=5")),
        ("handling=lenient", None, Preferences(55)),
        ("something=else", None, Preferences(55)),
        (None, "3", Preferences(3)),
        ("wait=10", "3", Preferences(3)),
    ],
)
def test_prefer_and_wait(prefer: str | None, wait: str | None, expected: Preferences) -> None:
    assert read_preferences(prefer, wait, LIMITS) == expected


@pytest.mark.parametrize("wait", ["soon", "-1", "nan", "inf", ""])
def test_a_wait_that_is_no_time_is_refused(wait: str) -> None:
    with pytest.raises(InvalidRequest, match="allowed: 0 to 300"):
        read_preferences(None, wait, LIMITS)


def test_a_key_in_the_wrong_header_is_not_repeated() -> None:
    key = "sk-CANARY-0123456789"
    with pytest.raises(InvalidRequest) as wait:
        read_preferences(f"wait={key}", None, LIMITS)
    with pytest.raises(InvalidRequest) as name:
        read_idempotency_key([key], None)
    told = wait.value.error.model_dump_json() + name.value.error.model_dump_json()
    assert "canary" not in told.lower()
    assert told.count("sk-...") == 2


@pytest.mark.parametrize("header", [str(ID), f'"{ID}"', f" {ID} ", str(ID).upper()])
def test_the_key_may_be_quoted_or_bare(header: str) -> None:
    assert read_idempotency_key([header], None) == ID
    assert read_idempotency_key([header], ID) == ID


def test_without_a_header_the_body_names_it() -> None:
    assert read_idempotency_key([], ID) == ID
    assert read_idempotency_key([], None) is None


def test_a_key_that_is_no_uuid_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="must be a UUID"):
        read_idempotency_key(["order-17"], None)
