"""The answer to a request that is turned away at the door, as the bytes that go out."""

import secrets
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from gateway.chat.errors import openai_error_body
from gateway.error_responses import OPENAI_PREFIX, STATUS_OF_CODE, error_body
from gateway.traceparent import TRACEPARENT
from shared.domain.errors import ErrorCode, job_error
from shared.domain.timestamps import rfc3339_now

CODE = ErrorCode.QUEUE_FULL
_TRACE = "%trace%".ljust(32, "%")
_TIME = "%time%".ljust(len("2026-01-02T03:04:05.678Z"), "%")
_MOST_FORMS = 256


def turned_away(
    scope: Mapping[str, Any], seconds: int, max_wait_seconds: float, *, keeps_connection: bool
) -> bytes:
    """Made once for each number of seconds; only trace and time are put in."""
    form = _form(scope["path"].startswith(OPENAI_PREFIX), seconds, max_wait_seconds, keeps_connection)
    return form.replace(_TRACE.encode(), _trace_id(scope)).replace(_TIME.encode(), rfc3339_now().encode())


@lru_cache(_MOST_FORMS)
def _form(is_openai: bool, seconds: int, max_wait_seconds: float, keeps_connection: bool) -> bytes:
    error = job_error(
        CODE,
        "The job was not accepted: too many are in flight, a new one would wait longer than "
        f"LLM_MAX_QUEUE_SECONDS allows ({max_wait_seconds:g} s)",
        details={"retry_after_seconds": seconds},
    )
    told = openai_error_body(error, _TRACE) if is_openai else error_body(error, None, _TRACE)
    body = orjson.dumps(told if is_openai else {**told, "timestamp": _TIME})
    lines = [
        "content-type: application/json",
        f"content-length: {len(body)}",
        f"retry-after: {seconds}",
        *([f"x-request-id: {_TRACE}"] if is_openai else []),
        *([] if keeps_connection else ["connection: close"]),
    ]
    return STATUS_LINE[STATUS_OF_CODE[CODE]] + "\r\n".join([*lines, "", ""]).encode() + body


def _trace_id(scope: Mapping[str, Any]) -> bytes:
    for name, value in scope["headers"]:
        if name == b"traceparent" and (told := TRACEPARENT.fullmatch(value.decode("latin-1"))):
            return told[1].encode()
    return secrets.token_hex(16).encode()
