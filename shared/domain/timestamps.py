"""How every time is written."""

import time
from datetime import UTC, datetime
from functools import lru_cache
from math import floor

_TO_THE_SECOND = len("2026-01-02T03:04:05")


def rfc3339(instant: datetime) -> str:
    """RFC 3339, UTC, milliseconds."""
    return f"{_second(floor(instant.timestamp()))}.{instant.microsecond // 1000:03d}Z"


def rfc3339_now() -> str:
    """The present."""
    now_ms = time.time_ns() // 1_000_000
    return f"{_second(now_ms // 1000)}.{now_ms % 1000:03d}Z"


@lru_cache(64)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()[:_TO_THE_SECOND]
