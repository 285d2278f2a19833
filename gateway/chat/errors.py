"""Every error in the form that OpenAI's clients read: `{"error": {message, type, param, code}}`."""

from typing import Any

from shared.domain.errors import ErrorCode, ErrorType, JobError

_TYPES = {
    ErrorType.CONFLICT: "conflict_error",
    ErrorType.RATE_LIMIT: "requests",
    ErrorType.PROVIDER: "invalid_request_error",
    ErrorType.UNAVAILABLE: "server_error",
    ErrorType.EXPIRED: "server_error",
    ErrorType.INTERNAL: "server_error",
}
_TYPES_OF_CODES = {
    ErrorCode.UPSTREAM_QUOTA_EXCEEDED: "insufficient_quota",
    ErrorCode.UPSTREAM_INVALID_RESPONSE: "server_error",
    ErrorCode.UNKNOWN_OUTCOME: "server_error",
}
_CODES = {
    ErrorCode.UNKNOWN_FIELD: "unknown_parameter",
    ErrorCode.MISSING_FIELD: "missing_required_parameter",
    ErrorCode.INVALID_FIELD: "invalid_value",
    ErrorCode.UNSUPPORTED_MODEL: "model_not_found",
    ErrorCode.UNAUTHORIZED: "invalid_api_key",
    ErrorCode.UPSTREAM_AUTHENTICATION: "invalid_api_key",
    ErrorCode.UPSTREAM_RATE_LIMITED: "rate_limit_exceeded",
    ErrorCode.LIMIT_EXCEEDED: "rate_limit_exceeded",
    ErrorCode.UPSTREAM_QUOTA_EXCEEDED: "insufficient_quota",
    ErrorCode.CONTEXT_TOO_LONG: "context_length_exceeded",
    ErrorCode.CONTENT_POLICY: "content_policy_violation",
}
_PARAMS = {ErrorCode.CONTEXT_TOO_LONG: "messages", ErrorCode.UNAUTHORIZED: None}


def openai_error_body(error: JobError, trace_id: str) -> dict[str, Any]:
    """OpenAI's four members, and the trace id that an operator finds it by."""
    code = error.error_code
    said = (error.details or {}).get("provider_message")
    return {
        "error": {
            "message": f"{error.message}: {said}" if said else error.message,
            "type": _TYPES_OF_CODES.get(code) or _TYPES.get(error.error_type, "invalid_request_error"),
            "param": _PARAMS.get(code, error.field),
            "code": _CODES.get(code, code.lower()),
            "trace_id": trace_id,
        }
    }
