"""A service outcome as an HTTP answer."""

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gateway.answer_events import AnswerEvents
from gateway.caller import Caller
from gateway.error_responses import error_body, error_response, json_response
from gateway.event_stream import EventStream, last_event_id
from gateway.following import AnswerFollower, Tell
from gateway.schemas import accepted_body
from gateway.service import Accepted, Answered
from shared.domain.answer_body import failure_extra, success_body
from shared.domain.job import JobId
from shared.domain.result import Failed, Succeeded

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


def streamed(
    request: Request,
    follower: AnswerFollower,
    job_id: JobId,
    caller: Caller,
    *,
    is_replay: bool = False,
    tell: Tell | None = None,
) -> Response:
    """The answer while it is written, from where the caller was cut off."""
    after = last_event_id(request)

    def body(result: Succeeded | Failed) -> dict[str, Any]:
        latency_ms = elapsed_ms(request)
        if isinstance(result, Succeeded):
            return success_body(result, request_latency_ms=latency_ms, is_replay=is_replay)
        extra = failure_extra(result, request_latency_ms=latency_ms, is_replay=is_replay)
        return error_body(result.error, result.request_id, request.state.trace_id, extra)

    response = EventStream(AnswerEvents(after, body).events(follower.follow(job_id, 0, caller, tell)))
    if is_replay:
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
