"""`POST /invoke` and `POST /submit`."""

from fastapi import APIRouter, Request, Response

from gateway.access import owner_of
from gateway.app_state import AppState, app_state
from gateway.cache_control import heed_cache_control
from gateway.caller import Caller
from gateway.caller_key import check_key_is_accepted
from gateway.limit_headers import limit_headers_of
from gateway.media_type import check_media_type
from gateway.openapi import INVOKE_REQUEST, JOB_ANSWERS, SUBMIT_REQUEST
from gateway.plain_route import PlainRoute
from gateway.preferences import Preferences, read_idempotency_key, read_preferences
from gateway.priority import heed_priority
from gateway.routes.answers import answer, streamed
from gateway.service import Answered
from shared.domain.job import Job, job_from_body
from shared.domain.validation import parse_invoke_body

router = APIRouter(tags=["jobs"], route_class=PlainRoute)


@router.post("/invoke", openapi_extra=INVOKE_REQUEST, responses=JOB_ANSWERS)
async def invoke(request: Request) -> Response:
    """Execute a request once and wait for its result."""
    state = app_state(request)
    preferences = read_preferences(_prefer(request), request.query_params.get("wait"), state.wait_limits)
    return await _submit(request, state, preferences)


@router.post("/submit", openapi_extra=SUBMIT_REQUEST, responses=JOB_ANSWERS)
async def submit(request: Request) -> Response:
    """Execute a request once; do not wait."""
    state = app_state(request)
    asked = read_preferences(_prefer(request), "0", state.wait_limits)
    return await _submit(request, state, asked, is_async=True)


async def _submit(
    request: Request, state: AppState, preferences: Preferences, *, is_async: bool = False
) -> Response:
    check_media_type(request.headers.get("content-type"), request.headers.get("content-encoding"))
    wait_seconds = preferences.wait_seconds
    asked = _job(request, await request.body(), state, wait_seconds)
    job = heed_priority(request, heed_cache_control(request, asked))
    request.state.request_id = job.id.request_id
    request.state.caller = caller = Caller()
    is_stream = job.is_streamed and not is_async
    outcome = await state.service.submit(
        job, 0 if is_stream else wait_seconds, caller, is_strict=preferences.is_strict
    )
    state.stats.count_outcome(outcome)
    state.door.learn(outcome, request.state.started_at)
    if is_stream:
        is_replay = isinstance(outcome, Answered)
        tell = state.door.learner(outcome, request.state.started_at)
        response = streamed(request, state.follower, job.id, caller, is_replay=is_replay, tell=tell)
    else:
        response = answer(request, outcome)
    if preferences.applied:
        response.headers["Preference-Applied"] = preferences.applied
    response.headers.update(limit_headers_of(job, outcome, state.adapters.limits))
    return response


def _prefer(request: Request) -> str:
    return ", ".join(request.headers.getlist("prefer"))


def _job(request: Request, raw: bytes, state: AppState, wait_seconds: float) -> Job:
    body = parse_invoke_body(raw)
    request_id = read_idempotency_key(request.headers.getlist("idempotency-key"), body.request_id)
    if request_id != body.request_id:
        body = body.model_copy(update={"request_id": request_id})
    check_key_is_accepted(body.openai_api_key, state, request_id)
    return job_from_body(
        body,
        state.defaults,
        owner=owner_of(request),
        traceparent=request.state.traceparent,
        wait_seconds=wait_seconds,
    )
