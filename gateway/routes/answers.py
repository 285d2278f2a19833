"""A service outcome as an HTTP answer."""

import time

from starlette.requests import Request
from starlette.responses import Response

from gateway.error_responses import error_response, json_response
from gateway.schemas import accepted_body
from gateway.service import Accepted, Answered
from shared.domain.answer_body import failure_extra, success_body
from shared.domain.result import Failed

_POLL_SECONDS = "1"


def answer(request: Request, outcome: Answered | Accepted) -> Response:
    """200, 202, or the status of the job's error."""
    if isinstance(outcome, Accepted):
        return accepted(outcome)
    latency_ms = elapsed_ms(request)
    result = outcome.result
    if isinstance(result, Failed):
        extra = failure_extra(result, request_latency_ms=latency_ms, is_replay=outcome.is_replay)
        response = error_response(result.error, result.request_id, request.state.trace_id, extra)
    else:
        response = json_response(
            success_body(result, request_latency_ms=latency_ms, is_replay=outcome.is_replay)
        )
    if outcome.is_replay:
        response.headers["Idempotent-Replayed"] = "true"
    return response


def elapsed_ms(request: Request) -> float:
    """Since the request came in."""
    return (time.perf_counter() - float(request.state.started_at)) * 1000


def accepted(outcome: Accepted) -> Response:
    """202, with where and when to ask."""
    body = accepted_body(outcome.job_id, outcome.status, outcome.expires_at)
    response = json_response(body, 202)
    response.headers["Location"] = body["status_url"]
    response.headers["Retry-After"] = _POLL_SECONDS
    return response
