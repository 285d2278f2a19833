"""How every time is written."""

from datetime import UTC, datetime


def rfc3339(instant: datetime) -> str:
    """RFC 3339, UTC, milliseconds."""
    utc = instant if instant.tzinfo is UTC else instant.astimezone(UTC)
    return f"{utc.isoformat(timespec='milliseconds')[:-6]}Z"


def rfc3339_now() -> str:
    """The present."""
    return rfc3339(datetime.now(UTC))
