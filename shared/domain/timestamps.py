"""How every time is written."""

from datetime import UTC, datetime


def rfc3339(instant: datetime) -> str:
    """RFC 3339, UTC, milliseconds."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def rfc3339_now() -> str:
    """The present."""
    return rfc3339(datetime.now(UTC))
