"""`/result/{request_id}`: read, cancel, delete."""

from uuid import UUID

from fastapi import APIRouter, Request, Response

from gateway.access import owner_of
from gateway.app_state import app_state
from gateway.caller import Caller
from gateway.error_responses import error_response
from gateway.openapi import CANCEL_ANSWERS, DELETE_ANSWERS, RESULT_ANSWERS, RESULT_REQUEST
from gateway.plain_route import PlainRoute
from gateway.preferences import WaitLimits, read_preferences
from gateway.routes.answers import accepted, answer
from gateway.service import Accepted, Answered
from shared.domain.errors import ErrorCode, JobError, job_error
from shared.domain.job import JobId
from shared.ports import Deleted

router = APIRouter(tags=["jobs"], route_class=PlainRoute)


@router.get("/result/{request_id}", openapi_extra=RESULT_REQUEST, responses=RESULT_ANSWERS)
async def result(request: Request, request_id: str) -> Response:
    """The result of a job, or 202 while it runs; `Prefer: wait=n` or `?wait=n` waits for it."""
    state = app_state(request)
    prefer = ", ".join(request.headers.getlist("prefer"))
    limits = WaitLimits(0, state.wait_limits.max_seconds)
    preferences = read_preferences(prefer, request.query_params.get("wait"), limits)
    request.state.caller = caller = Caller()
    job_id = job_id_of(request, request_id)
    outcome = (
        await state.service.get(job_id, preferences.wait_seconds, caller) if job_id is not None else None
    )
    response = told(request, outcome)
    if preferences.applied:
        response.headers["Preference-Applied"] = preferences.applied
    return response


@router.post("/result/{request_id}/cancel", responses=CANCEL_ANSWERS)
async def cancel(request: Request, request_id: str) -> Response:
    """Cut a job off: 202 requested, 200 it is cancelled already, 409 it has ended otherwise."""
    job_id = job_id_of(request, request_id)
    outcome = await app_state(request).service.cancel(job_id) if job_id is not None else None
    if not isinstance(outcome, Answered):
        return told(request, outcome)
    if outcome.result.status != "cancelled":
        return _error(request, _ALREADY_FINISHED)
    return _found(request, outcome)


@router.delete("/result/{request_id}", status_code=204, responses=DELETE_ANSWERS)
async def delete(request: Request, request_id: str) -> Response:
    """Erase the result of a finished job; its id stays taken for a whole retention more."""
    job_id = job_id_of(request, request_id)
    request.state.request_id = job_id.request_id if job_id is not None else None
    outcome = await app_state(request).service.delete(job_id) if job_id is not None else None
    return _error(request, _UNKNOWN) if outcome is None else Response(status_code=204)


def told(request: Request, outcome: Answered | Accepted | Deleted | None) -> Response:
    """What is known of a job."""
    match outcome:
        case Answered():
            return _found(request, outcome)
        case Accepted():
            return accepted(outcome)
        case Deleted():
            return _error(request, _GONE)
        case None:
            return _error(request, _UNKNOWN)


def _found(request: Request, outcome: Answered) -> Response:
    """200 also for a failure: the reading succeeded."""
    response = answer(request, outcome)
    response.status_code = 200
    for name in ("Retry-After", "x-should-retry"):
        if name in response.headers:
            del response.headers[name]
    return response


def _error(request: Request, error: JobError) -> Response:
    return error_response(error, None, request.state.trace_id)


def job_id_of(request: Request, text: str) -> JobId | None:
    """Of the caller's own jobs; what is no id is unknown."""
    try:
        return JobId(owner_of(request), str(UUID(text)))
    except ValueError:
        return None


_UNKNOWN = job_error(ErrorCode.NOT_FOUND, "No result under this request_id", field="request_id")
_GONE = job_error(
    ErrorCode.GONE,
    "The result under this request_id was deleted, or its retention has passed",
    field="request_id",
)
_ALREADY_FINISHED = job_error(
    ErrorCode.ALREADY_FINISHED, "The job has ended, so there is nothing to cancel", field="request_id"
)
