"""`GET /result/{request_id}`."""

from uuid import UUID

from fastapi import APIRouter, Request, Response

from gateway.app_state import app_state
from gateway.error_responses import error_response
from gateway.preferences import read_preferences
from gateway.routes.answers import answer
from shared.domain.errors import ErrorCode, job_error
from shared.domain.job import DEFAULT_OWNER, JobId

router = APIRouter(tags=["jobs"])


@router.get("/result/{request_id}")
async def result(request: Request, request_id: str) -> Response:
    """The result of a job, or 202 while it runs; `Prefer: wait=n` or `?wait=n` waits for it."""
    state = app_state(request)
    asked = request.query_params.get("wait")
    prefer = request.headers.get("prefer")
    preferences = read_preferences(prefer, asked if asked or prefer else "0", state.wait_limits)
    job_id = _job_id(request_id)
    outcome = await state.service.get(job_id, preferences.wait_seconds) if job_id is not None else None
    if outcome is None:
        return error_response(_UNKNOWN, request_id, request.state.trace_id)
    return answer(request, outcome)


def _job_id(text: str) -> JobId | None:
    try:
        return JobId(DEFAULT_OWNER, str(UUID(text)))
    except ValueError:
        return None


_UNKNOWN = job_error(ErrorCode.NOT_FOUND, "No result under this request_id", field="request_id")
