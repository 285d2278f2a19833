"""`GET /stats`, and the same as it changes."""

from collections.abc import AsyncGenerator

from fastapi import APIRouter, Request, Response

from gateway.access import owner_of
from gateway.app_state import AppState, app_state
from gateway.error_responses import json_response
from gateway.event_stream import PING, EventStream, event
from gateway.openapi import STATS_ANSWERS, STATS_EVENTS_ANSWERS
from gateway.queue_history import Peak
from gateway.stats_report import points, queue_points, report
from shared.ports import StoreUnavailable

router = APIRouter(tags=["operations"])

_EVERY_SECONDS = 2.0


@router.get("/stats", responses=STATS_ANSWERS)
async def stats(request: Request) -> Response:
    """Figures of the whole service: since it began to count, and of the last 1, 5 and 60 minutes."""
    body, _ = await report(app_state(request), owner_of(request))
    return json_response(body)


@router.get("/stats/events", responses=STATS_EVENTS_ANSWERS, response_class=EventStream)
async def stats_events(request: Request) -> Response:
    """The same every two seconds, with the points of a plot: first of the last hour, then what changed."""
    return EventStream(_events(app_state(request), owner_of(request)))


async def _events(state: AppState, owner: str) -> AsyncGenerator[bytes]:
    known: dict[int, object] = {}
    known_peaks: dict[int, Peak] = {}
    gauge = state.adapters.gauge
    while not state.service.waits.is_draining:
        try:
            body, reading = await report(state, owner)
        except StoreUnavailable:
            yield PING  # the page says itself that it hears nothing
        else:
            changed = {start: sums for start, sums in reading.slices.items() if known.get(start, {}) != sums}
            known = dict(reading.slices)
            peaks = gauge.history.peaks() if gauge is not None else {}
            risen = {start: peak for start, peak in peaks.items() if known_peaks.get(start) != peak}
            known_peaks = dict(peaks)
            yield event({**body, "points": points(changed), "queue_points": queue_points(risen)}, "stats")
        await state.service.waits.pause(_EVERY_SECONDS)
