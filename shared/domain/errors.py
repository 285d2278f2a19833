"""What can go wrong with a job, as data.

A failed job is a result like any other: it is stored, immutable, and says whether asking again can help.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, JsonValue


class ErrorType(StrEnum):
    """The seed's families of errors."""

    VALIDATION = "validation_error"
    AUTHENTICATION = "authentication_error"
    CONFLICT = "conflict_error"
    NOT_FOUND = "not_found_error"
    RATE_LIMIT = "rate_limit_error"
    PROVIDER = "provider_error"
    UNAVAILABLE = "unavailable_error"
    EXPIRED = "expired_error"
    INTERNAL = "internal_error"


class ErrorCode(StrEnum):
    """Every error a user can see; `gateway.error_responses` gives each its HTTP status."""

    INVALID_HTTP = "INVALID_HTTP"
    INVALID_JSON = "INVALID_JSON"
    INVALID_FIELD = "INVALID_FIELD"
    UNKNOWN_FIELD = "UNKNOWN_FIELD"
    MISSING_FIELD = "MISSING_FIELD"
    INVALID_API_KEY = "INVALID_API_KEY"
    API_KEY_NOT_ACCEPTED = "API_KEY_NOT_ACCEPTED"
    INVALID_SEALED_KEY = "INVALID_SEALED_KEY"
    MISSING_API_KEY = "MISSING_API_KEY"
    UNSUPPORTED_MODEL = "UNSUPPORTED_MODEL"
    REQUEST_ID_MISMATCH = "REQUEST_ID_MISMATCH"
    UNSUPPORTED_SCHEMA = "UNSUPPORTED_SCHEMA"
    UNAUTHORIZED = "UNAUTHORIZED"
    REQUEST_TIMEOUT = "REQUEST_TIMEOUT"
    BODY_TOO_LARGE = "BODY_TOO_LARGE"
    ABOVE_LIMIT = "ABOVE_LIMIT"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    HEADERS_TOO_LARGE = "HEADERS_TOO_LARGE"
    DUPLICATE_REQUEST_ID = "DUPLICATE_REQUEST_ID"
    REQUEST_IN_PROGRESS = "REQUEST_IN_PROGRESS"
    CACHE_MISS = "CACHE_MISS"
    NOT_FOUND = "NOT_FOUND"
    GONE = "GONE"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    QUEUE_FULL = "QUEUE_FULL"
    QUEUE_UNAVAILABLE = "QUEUE_UNAVAILABLE"
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    UPSTREAM_AUTHENTICATION = "UPSTREAM_AUTHENTICATION"
    UPSTREAM_RATE_LIMITED = "UPSTREAM_RATE_LIMITED"
    UPSTREAM_QUOTA_EXCEEDED = "UPSTREAM_QUOTA_EXCEEDED"
    UPSTREAM_UNAVAILABLE = "UPSTREAM_UNAVAILABLE"
    UPSTREAM_TIMEOUT = "UPSTREAM_TIMEOUT"
    UPSTREAM_INVALID_RESPONSE = "UPSTREAM_INVALID_RESPONSE"
    UPSTREAM_REJECTED = "UPSTREAM_REJECTED"
    CONTEXT_TOO_LONG = "CONTEXT_TOO_LONG"
    CONTENT_POLICY = "CONTENT_POLICY"
    UNKNOWN_OUTCOME = "UNKNOWN_OUTCOME"
    TOO_MANY_RUNS = "TOO_MANY_RUNS"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    JOB_CANCELLED = "JOB_CANCELLED"
    RESULT_DELETED = "RESULT_DELETED"
    ALREADY_FINISHED = "ALREADY_FINISHED"
    STILL_RUNNING = "STILL_RUNNING"
    INTERNAL_ERROR = "INTERNAL_ERROR"


_TYPES: dict[ErrorType, tuple[ErrorCode, ...]] = {
    ErrorType.VALIDATION: (
        ErrorCode.INVALID_HTTP,
        ErrorCode.REQUEST_TIMEOUT,
        ErrorCode.UNSUPPORTED_MEDIA_TYPE,
        ErrorCode.HEADERS_TOO_LARGE,
        ErrorCode.INVALID_JSON,
        ErrorCode.INVALID_FIELD,
        ErrorCode.UNKNOWN_FIELD,
        ErrorCode.MISSING_FIELD,
        ErrorCode.INVALID_API_KEY,
        ErrorCode.API_KEY_NOT_ACCEPTED,
        ErrorCode.INVALID_SEALED_KEY,
        ErrorCode.MISSING_API_KEY,
        ErrorCode.UNSUPPORTED_MODEL,
        ErrorCode.REQUEST_ID_MISMATCH,
        ErrorCode.UNSUPPORTED_SCHEMA,
        ErrorCode.BODY_TOO_LARGE,
        ErrorCode.ABOVE_LIMIT,
        ErrorCode.METHOD_NOT_ALLOWED,
    ),
    ErrorType.AUTHENTICATION: (ErrorCode.UNAUTHORIZED, ErrorCode.UPSTREAM_AUTHENTICATION),
    ErrorType.CONFLICT: (
        ErrorCode.DUPLICATE_REQUEST_ID,
        ErrorCode.REQUEST_IN_PROGRESS,
        ErrorCode.CACHE_MISS,
        ErrorCode.JOB_CANCELLED,
        ErrorCode.RESULT_DELETED,
        ErrorCode.ALREADY_FINISHED,
        ErrorCode.STILL_RUNNING,
    ),
    ErrorType.NOT_FOUND: (ErrorCode.NOT_FOUND, ErrorCode.GONE),
    ErrorType.RATE_LIMIT: (
        ErrorCode.LIMIT_EXCEEDED,
        ErrorCode.UPSTREAM_RATE_LIMITED,
        ErrorCode.UPSTREAM_QUOTA_EXCEEDED,
    ),
    ErrorType.PROVIDER: (
        ErrorCode.UPSTREAM_INVALID_RESPONSE,
        ErrorCode.UPSTREAM_REJECTED,
        ErrorCode.CONTEXT_TOO_LONG,
        ErrorCode.CONTENT_POLICY,
        ErrorCode.UNKNOWN_OUTCOME,
    ),
    ErrorType.UNAVAILABLE: (
        ErrorCode.QUEUE_FULL,
        ErrorCode.QUEUE_UNAVAILABLE,
        ErrorCode.STORE_UNAVAILABLE,
        ErrorCode.UPSTREAM_UNAVAILABLE,
        ErrorCode.UPSTREAM_TIMEOUT,
    ),
    ErrorType.EXPIRED: (ErrorCode.DEADLINE_EXCEEDED,),
    ErrorType.INTERNAL: (ErrorCode.TOO_MANY_RUNS, ErrorCode.INTERNAL_ERROR),
}

TYPE_OF_CODE: dict[ErrorCode, ErrorType] = {
    code: error_type for error_type, codes in _TYPES.items() for code in codes
}

RETRYABLE_CODES = frozenset(
    {
        ErrorCode.REQUEST_TIMEOUT,
        ErrorCode.REQUEST_IN_PROGRESS,
        ErrorCode.STILL_RUNNING,
        ErrorCode.LIMIT_EXCEEDED,
        ErrorCode.QUEUE_FULL,
        ErrorCode.QUEUE_UNAVAILABLE,
        ErrorCode.STORE_UNAVAILABLE,
        ErrorCode.UPSTREAM_AUTHENTICATION,
        ErrorCode.UPSTREAM_RATE_LIMITED,
        ErrorCode.UPSTREAM_QUOTA_EXCEEDED,
        ErrorCode.UPSTREAM_UNAVAILABLE,
        ErrorCode.UPSTREAM_TIMEOUT,
        ErrorCode.UPSTREAM_INVALID_RESPONSE,
        ErrorCode.INTERNAL_ERROR,
    }
)


class JobError(BaseModel):
    """The `error` object of an answer."""

    model_config = ConfigDict(frozen=True)

    error_type: ErrorType
    error_code: ErrorCode
    message: str
    field: str | None = None
    details: dict[str, JsonValue] | None = None
    retryable: bool


def job_error(
    code: ErrorCode,
    message: str,
    *,
    field: str | None = None,
    details: dict[str, JsonValue] | None = None,
) -> JobError:
    """A `JobError` with the type and the retryability that its code has."""
    return JobError(
        error_type=TYPE_OF_CODE[code],
        error_code=code,
        message=message,
        field=field,
        details=details,
        retryable=code in RETRYABLE_CODES,
    )


class InvalidRequest(ValueError):
    """A body or a record that can never become a job."""

    def __init__(self, error: JobError, request_id: str | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.request_id = request_id
