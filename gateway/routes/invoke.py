"""`POST /invoke` and `POST /submit`."""

from fastapi import APIRouter, Request, Response

from gateway.access import owner_of
from gateway.app_state import AppState, app_state
from gateway.caller import Caller
from gateway.limit_headers import limit_headers
from gateway.media_type import check_media_type
from gateway.openapi import INVOKE_REQUEST, JOB_ANSWERS, SUBMIT_REQUEST
from gateway.preferences import Preferences, read_idempotency_key, read_preferences
from gateway.routes.answers import answer, elapsed_ms
from shared.domain.errors import ErrorCode, InvalidRequest, job_error
from shared.domain.job import Job, job_from_body
from shared.domain.validation import parse_invoke_body
from shared.limits import Admission

router = APIRouter(tags=["jobs"])


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
    return await _submit(request, state, asked)


async def _submit(request: Request, state: AppState, preferences: Preferences) -> Response:
    check_media_type(request.headers.get("content-type"), request.headers.get("content-encoding"))
    job = _job(request, await request.body(), state)
    request.state.request_id = job.id.request_id
    request.state.caller = caller = Caller()
    outcome = await state.service.submit(
        job, preferences.wait_seconds, caller, is_strict=preferences.is_strict
    )
    state.stats.count_outcome(outcome, elapsed_ms(request))
    response = answer(request, outcome)
    if preferences.applied:
        response.headers["Preference-Applied"] = preferences.applied
    if state.adapters.limits is not None:
        policy = state.adapters.limits.of(job.id.owner)
        admission = outcome.admission or (Admission(policy) if policy is not None else None)
        response.headers.update(limit_headers(admission) if admission is not None else {})
    return response


def _prefer(request: Request) -> str:
    return ", ".join(request.headers.getlist("prefer"))


def _job(request: Request, raw: bytes, state: AppState) -> Job:
    body = parse_invoke_body(raw)
    request_id = read_idempotency_key(request.headers.getlist("idempotency-key"), body.request_id)
    if request_id != body.request_id:
        body = body.model_copy(update={"request_id": request_id})
    if body.openai_api_key is not None and not state.adapters.accepts_caller_keys:
        raise InvalidRequest(_KEY_NOT_ACCEPTED, str(request_id) if request_id else None)
    return job_from_body(body, state.defaults, owner=owner_of(request), traceparent=request.state.traceparent)


_KEY_NOT_ACCEPTED = job_error(
    ErrorCode.API_KEY_NOT_ACCEPTED,
    "openai_api_key: this gateway cannot seal a caller's key, and in the clear it must not travel over "
    "Kafka; leave it out, and the workers use the service's own key (operators: set LLM_SEALING_JWKS_FILE)",
    field="openai_api_key",
)
