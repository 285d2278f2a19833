"""`GET /stats`."""

from fastapi import APIRouter, Request, Response

from gateway.app_state import app_state
from gateway.error_responses import json_response

router = APIRouter(tags=["operations"])


@router.get("/stats")
async def stats(request: Request) -> Response:
    """Counts of this process since its start."""
    state = app_state(request)
    return json_response(state.stats.body(waiting=state.service.waiting))
