"""`POST /v1/chat/completions`: OpenAI's body and answer over the same job."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response

from gateway.access import owner_of
from gateway.app_state import AppState, app_state
from gateway.cache_control import heed_cache_control
from gateway.caller import Caller
from gateway.caller_key import bearer_key, check_key_is_accepted
from gateway.chat.answers import completion_body
from gateway.chat.body import ChatCompletionBody
from gateway.chat.chunks import CompletionChunks, still_running
from gateway.chat.openapi import CHAT_ANSWERS, CHAT_REQUEST
from gateway.error_responses import json_response, openai_error_response
from gateway.event_stream import EventStream, last_event_id
from gateway.following import Ended, Told, begun
from gateway.limit_headers import limit_headers_of
from gateway.media_type import check_media_type
from gateway.plain_route import PlainRoute
from gateway.ports import QueueUnavailable
from gateway.preferences import read_idempotency_key
from gateway.priority import heed_priority
from gateway.service import Accepted, Answered
from shared.domain.job import Job, JobId
from shared.domain.result import Failed, Succeeded
from shared.domain.validation import parse_body

router = APIRouter(tags=["openai"], route_class=PlainRoute)

_STORING_SECONDS = 10.0
"""A job that is cut off at its deadline is still to be stored."""


@router.post("/v1/chat/completions", openapi_extra=CHAT_REQUEST, responses=CHAT_ANSWERS)
async def chat_completions(request: Request) -> Response:
    """Execute a request once and wait for its result, as long as its deadline lets it run."""
    state = app_state(request)
    check_media_type(request.headers.get("content-type"), request.headers.get("content-encoding"))
    body = parse_body(ChatCompletionBody, await request.body())
    after = last_event_id(request)
    job = heed_priority(request, heed_cache_control(request, _job(request, body, state)))
    request.state.request_id = job.id.request_id
    request.state.caller = caller = Caller()
    if not state.service.waits.has_room:
        raise _no_room(state)
    wait_seconds = (job.deadline - datetime.now(UTC)).total_seconds() + _STORING_SECONDS
    outcome = await state.service.submit(job, 0 if job.is_streamed else wait_seconds, caller)
    state.stats.count_outcome(outcome)
    state.door.learn(outcome, request.state.started_at)
    if job.is_streamed:
        chunks = CompletionChunks(
            job.id.request_id, request.state.trace_id, after, includes_usage=body.includes_usage
        )
        followed = state.follower.follow(
            job.id, 0, caller, state.door.learner(outcome, request.state.started_at)
        )
        response = await _stream(request, followed, job, chunks)
    else:
        response = _answer(request, outcome)
    response.headers["x-request-id"] = job.id.request_id
    if isinstance(outcome, Answered) and isinstance(outcome.result, Succeeded) and outcome.result.from_cache:
        response.headers["x-llm-cache"] = "hit"
    if isinstance(outcome, Answered) and outcome.is_replay:
        response.headers["Idempotent-Replayed"] = "true"
    response.headers.update(limit_headers_of(job, outcome, state.adapters.limits))
    return response


def _job(request: Request, body: ChatCompletionBody, state: AppState) -> Job:
    request_id = read_idempotency_key(request.headers.getlist("idempotency-key"), None)
    key = bearer_key(request, state)
    check_key_is_accepted(key, state, request_id)
    return body.job(
        state.defaults,
        owner=owner_of(request),
        request_id=request_id,
        api_key=key,
        traceparent=request.state.traceparent,
    )


def _no_room(state: AppState) -> QueueUnavailable:
    """Before anything is claimed: who cannot be answered shall not pay."""
    reason = f"this replica holds as many callers as LLM_MAX_WAITERS={state.settings.llm_max_waiters} allows"
    return QueueUnavailable("this replica ends" if state.service.waits.is_draining else reason, is_full=True)


async def _stream(
    request: Request, following: AsyncGenerator[Told], job: Job, chunks: CompletionChunks
) -> Response:
    """The status waits for what comes first: a job that fails at once is an error, as at OpenAI's."""
    first, followed = await begun(following)
    match first:
        case Answered(Failed() as failed):
            return openai_error_response(failed.error, failed.request_id, request.state.trace_id)
        case Ended():
            return _still_running(request, job.id)
        case _:
            return EventStream(chunks.events(followed))


def _answer(request: Request, outcome: Answered | Accepted) -> Response:
    if isinstance(outcome, Accepted):
        return _still_running(request, outcome.job_id)
    if isinstance(outcome.result, Failed):
        return openai_error_response(outcome.result.error, outcome.result.request_id, request.state.trace_id)
    return json_response(completion_body(outcome.result))


def _still_running(request: Request, job_id: JobId) -> Response:
    """Asking again is free under the same id, and would be paid twice without one."""
    error = still_running(job_id.request_id)
    response = openai_error_response(error, job_id.request_id, request.state.trace_id)
    response.headers["x-should-retry"] = "true" if "idempotency-key" in request.headers else "false"
    return response
