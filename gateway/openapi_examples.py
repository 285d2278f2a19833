"""An example of every answer, for `/openapi.json`."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from gateway.chat.answers import completion_body
from gateway.chat.errors import openai_error_body
from gateway.error_meanings import MEANING_OF_CODE
from gateway.error_responses import STATUS_OF_CODE, error_body
from gateway.schemas import accepted_body
from shared.domain.answer_body import failure_extra, success_body
from shared.domain.errors import ErrorCode, job_error
from shared.domain.job import DEFAULT_OWNER, JobId
from shared.domain.result import Failed, Succeeded, Usage
from shared.domain.timestamps import rfc3339

Json = dict[str, Any]

OPENAI = "openai_"
"""Before the name of an example in OpenAI's form."""
_ID = "5f0c5f3e-7d4c-4b39-9d0e-0f6a4a3a1c55"
_AT = datetime(2026, 11, 23, 19, 5, 13, 243000, UTC)
_TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
_RAN: Json = {
    "request_id": _ID,
    "model": "gpt-4o-mini",
    "completed_at": _AT,
    "queue_ms": 0.4,
    "llm_latency_ms": 812.5,
    "attempts": 1,
    "retry_count": 0,
    "rate_limited": False,
}
_ENDINGS = frozenset(code for code in ErrorCode if code.startswith(("UPSTREAM_", "CONTE"))) | {
    ErrorCode.UNKNOWN_OUTCOME,
    ErrorCode.TOO_MANY_RUNS,
    ErrorCode.DEADLINE_EXCEEDED,
    ErrorCode.JOB_CANCELLED,
}
"""How a job can end; the rest refuses a request."""


def error_examples(status: int, codes: Iterable[ErrorCode], form: str = "") -> Json:
    """The errors of a status, by code; of all codes if none of `codes` has it. `put_examples` fills them."""
    all_of_it = [code for code, its in STATUS_OF_CODE.items() if its == status]
    of_it = [code for code in all_of_it if code in frozenset(codes)] or all_of_it
    return {form + code.value: {"summary": MEANING_OF_CODE[code], "value": ""} for code in of_it}


def put_examples(document: Json) -> Json:
    """The values, after FastAPI has written the document: it would leave out every null in them."""
    for operations in document["paths"].values():
        for operation in operations.values():
            for response in operation["responses"].values():
                for content in response.get("content", {}).values():
                    for name, example in content.get("examples", {}).items():
                        example["value"] = _VALUES[name]
    return document


def _error(code: ErrorCode) -> Json:
    error = job_error(code, MEANING_OF_CODE[code])
    if code not in _ENDINGS:
        return error_body(error, None, _TRACE_ID, {"timestamp": rfc3339(_AT)})
    return error_body(error, _ID, _TRACE_ID, failure_extra(_failed(code), request_latency_ms=815.1))


def _failed(code: ErrorCode) -> Failed:
    early = {ErrorCode.DEADLINE_EXCEEDED: "expired", ErrorCode.JOB_CANCELLED: "cancelled"}
    return Failed(**_RAN, status=early.get(code, "failed"), error=job_error(code, MEANING_OF_CODE[code]))


_SUCCEEDED = Succeeded(
    **_RAN,
    message={"role": "assistant", "content": "The capital of France is Paris."},
    finish_reason="stop",
    usage=Usage(prompt_tokens=37, completion_tokens=8, total_tokens=45),
)
_MODEL = {"id": "gpt-4o-mini", "object": "model", "created": 1764011113, "owned_by": "llm-microservice"}
_VALUES: dict[str, Json] = {
    **{code.value: _error(code) for code in ErrorCode},
    **{
        OPENAI + code.value: openai_error_body(job_error(code, MEANING_OF_CODE[code]), _TRACE_ID)
        for code in ErrorCode
    },
    "succeeded": success_body(_SUCCEEDED, request_latency_ms=815.1),
    "completion": completion_body(_SUCCEEDED),
    "model": _MODEL,
    "models": {"object": "list", "data": [_MODEL]},
    "accepted": accepted_body(JobId(DEFAULT_OWNER, _ID), "queued", _AT),
    "cancelled": _error(ErrorCode.JOB_CANCELLED),
}
