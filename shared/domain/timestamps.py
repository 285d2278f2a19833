"""How every time is written."""

import time
from datetime import UTC, datetime
from functools import lru_cache

_WITHOUT_OFFSET = len("2026-01-02T03:04:05.678")


def rfc3339(instant: datetime) -> str:
    """RFC 3339, UTC, milliseconds."""
    in_utc = instant if instant.tzinfo is UTC else instant.astimezone(UTC)
    return f"{in_utc.isoformat(timespec='milliseconds')[:_WITHOUT_OFFSET]}Z"


def rfc3339_now() -> str:
    """The present."""
    now_ms = time.time_ns() // 1_000_000
    return f"{_second(now_ms // 1000)}.{now_ms % 1000:03d}Z"


@lru_cache(2)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]
