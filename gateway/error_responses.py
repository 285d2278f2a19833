"""Every error a user can see, and its HTTP status: one table."""

import math
import random
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Scope

from gateway.chat.errors import openai_error_body
from shared.domain.errors import ErrorCode, JobError
from shared.domain.timestamps import rfc3339_now

STATUS_OF_CODE: dict[ErrorCode, int] = {
    ErrorCode.INVALID_HTTP: 400,
    ErrorCode.INVALID_JSON: 400,
    ErrorCode.INVALID_FIELD: 400,
    ErrorCode.UNKNOWN_FIELD: 400,
    ErrorCode.MISSING_FIELD: 400,
    ErrorCode.INVALID_API_KEY: 400,
    ErrorCode.API_KEY_NOT_ACCEPTED: 400,
    ErrorCode.INVALID_SEALED_KEY: 400,
    ErrorCode.MISSING_API_KEY: 400,
    ErrorCode.UNSUPPORTED_MODEL: 400,
    ErrorCode.REQUEST_ID_MISMATCH: 400,
    ErrorCode.UNSUPPORTED_SCHEMA: 400,
    ErrorCode.ABOVE_LIMIT: 400,
    ErrorCode.UPSTREAM_REJECTED: 400,
    ErrorCode.CONTEXT_TOO_LONG: 400,
    ErrorCode.CONTENT_POLICY: 400,
    ErrorCode.UNAUTHORIZED: 401,
    ErrorCode.UPSTREAM_AUTHENTICATION: 401,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.METHOD_NOT_ALLOWED: 405,
    ErrorCode.REQUEST_TIMEOUT: 408,
    ErrorCode.DUPLICATE_REQUEST_ID: 409,
    ErrorCode.REQUEST_IN_PROGRESS: 409,
    ErrorCode.CACHE_MISS: 409,
    ErrorCode.DEADLINE_EXCEEDED: 409,
    ErrorCode.JOB_CANCELLED: 409,
    ErrorCode.RESULT_DELETED: 409,
    ErrorCode.ALREADY_FINISHED: 409,
    ErrorCode.STILL_RUNNING: 409,
    ErrorCode.GONE: 410,
    ErrorCode.BODY_TOO_LARGE: 413,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: 415,
    ErrorCode.LIMIT_EXCEEDED: 429,
    ErrorCode.UPSTREAM_RATE_LIMITED: 429,
    ErrorCode.UPSTREAM_QUOTA_EXCEEDED: 429,
    ErrorCode.HEADERS_TOO_LARGE: 431,
    ErrorCode.INTERNAL_ERROR: 500,
    ErrorCode.TOO_MANY_RUNS: 500,
    ErrorCode.QUEUE_FULL: 503,
    ErrorCode.QUEUE_UNAVAILABLE: 503,
    ErrorCode.STORE_UNAVAILABLE: 503,
    ErrorCode.UPSTREAM_UNAVAILABLE: 503,
    ErrorCode.UPSTREAM_TIMEOUT: 503,
    ErrorCode.UPSTREAM_INVALID_RESPONSE: 503,
    ErrorCode.UNKNOWN_OUTCOME: 503,
}

OPENAI_PREFIX = "/v1/"
_RETRY_AFTER_SECONDS = 2.0
_MOST_JITTER_SECONDS = 30.0
_RETRIED_BY_CLIENTS = frozenset({408, 409, 429, *range(500, 600)})
"""Statuses that client libraries try again by themselves, unless `x-should-retry` says no."""


def error_body(
    error: JobError, request_id: str | None, trace_id: str, extra: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The seed's error body."""
    return {
        "success": False,
        "request_id": request_id,
        "timestamp": rfc3339_now(),
        **(extra or {}),
        "error": {**error.model_dump(mode="json"), "trace_id": trace_id},
    }


def refusal(scope: Scope, error: JobError, request_id: str | None = None) -> Response:
    """The answer to a request that failed, in the form of the API that was asked."""
    if scope["path"].startswith(OPENAI_PREFIX):
        return openai_error_response(error, request_id, scope["state"]["trace_id"])
    return error_response(error, request_id, scope["state"]["trace_id"])


def error_response(
    error: JobError, request_id: str | None, trace_id: str, extra: dict[str, Any] | None = None
) -> Response:
    """The seed's answer to a request that failed."""
    return _with_headers(error, error_body(error, request_id, trace_id, extra))


def openai_error_response(error: JobError, request_id: str | None, trace_id: str) -> Response:
    """OpenAI's."""
    response = _with_headers(error, openai_error_body(error, trace_id))
    response.headers["x-request-id"] = request_id or trace_id
    return response


def _with_headers(error: JobError, body: dict[str, Any]) -> Response:
    status = STATUS_OF_CODE[error.error_code]
    response = json_response(body, status)
    if status in (429, 503) or (status == 409 and error.retryable):  # noqa: PLR2004
        response.headers["Retry-After"] = str(_retry_after_seconds(error))
    if error.error_code is ErrorCode.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    if status in _RETRIED_BY_CLIENTS and not error.retryable:
        response.headers["x-should-retry"] = "false"
    return response


def json_response(body: dict[str, Any], status: int = 200) -> Response:
    """A JSON answer."""
    return Response(orjson.dumps(body), status, media_type="application/json")


def _retry_after_seconds(error: JobError) -> int:
    """What the provider said, or a guess; with jitter, so that callers do not come back as one."""
    told = (error.details or {}).get("retry_after_seconds")
    seconds = float(told) if isinstance(told, int | float) else _RETRY_AFTER_SECONDS
    jitter_seconds = random.uniform(0.0, min(seconds / 2, _MOST_JITTER_SECONDS))  # noqa: S311
    return max(1, math.ceil(seconds + jitter_seconds))
