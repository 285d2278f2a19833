"""`GET /result/{request_id}/events`: the answer while it is written."""

from fastapi import APIRouter, Request, Response

from gateway.app_state import app_state
from gateway.caller import Caller
from gateway.event_stream import EventStream, last_event_id
from gateway.openapi import EVENTS_ANSWERS, EVENTS_REQUEST
from gateway.plain_route import PlainRoute
from gateway.routes.answers import streamed
from gateway.routes.results import job_id_of, told
from gateway.service import Accepted, Answered

router = APIRouter(tags=["jobs"], route_class=PlainRoute)


@router.get(
    "/result/{request_id}/events",
    openapi_extra=EVENTS_REQUEST,
    responses=EVENTS_ANSWERS,
    response_class=EventStream,
)
async def events(request: Request, request_id: str) -> Response:
    """Server-sent events, also of a job that has ended; `Last-Event-ID` goes on where it was cut off."""
    state = app_state(request)
    last_event_id(request)  # wrong: refused, whatever is known of the job
    job_id = job_id_of(request, request_id)
    outcome = await state.service.get(job_id, 0) if job_id is not None else None
    if job_id is None or not isinstance(outcome, Answered | Accepted):
        return told(request, outcome)
    request.state.request_id = job_id.request_id
    request.state.caller = caller = Caller()
    return streamed(request, state.follower, job_id, caller)
