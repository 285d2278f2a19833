"""Errors that no caller can mend by asking otherwise: those that say how the service is."""

from gateway.error_responses import STATUS_OF_CODE
from shared.domain.errors import ErrorCode

SERVICE_FAULTS = frozenset(
    {
        *(code for code, status in STATUS_OF_CODE.items() if status >= 500),  # noqa: PLR2004
        ErrorCode.DEADLINE_EXCEEDED,
        ErrorCode.UPSTREAM_AUTHENTICATION,
        ErrorCode.UPSTREAM_QUOTA_EXCEEDED,
        ErrorCode.UPSTREAM_RATE_LIMITED,
    }
)
