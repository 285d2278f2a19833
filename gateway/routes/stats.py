"""`GET /stats`, and the same as it changes."""

from collections.abc import AsyncGenerator

from fastapi import APIRouter, Request, Response

from gateway.access import owner_of
from gateway.app_state import AppState, app_state
from gateway.error_responses import json_response
from gateway.event_stream import PING, EventStream, event
from gateway.openapi import STATS_ANSWERS, STATS_EVENTS_ANSWERS
from gateway.plot_points import PlotPoints
from shared.ports import StoreUnavailable

router = APIRouter(tags=["operations"])

_EVERY_SECONDS = 2.0


@router.get("/stats", responses=STATS_ANSWERS)
async def stats(request: Request) -> Response:
    """Figures of the whole service: since it began to count, and of the last 1, 5 and 60 minutes."""
    state = app_state(request)
    body, _ = await state.report.make()
    return json_response({**body, "failed_jobs": await state.report.failed_jobs(owner_of(request))})


@router.get("/stats/events", responses=STATS_EVENTS_ANSWERS, response_class=EventStream)
async def stats_events(request: Request) -> Response:
    """The same every two seconds, with the points of a plot: first of the last hour, then what changed."""
    return EventStream(_events(app_state(request), owner_of(request)))


async def _events(state: AppState, owner: str) -> AsyncGenerator[bytes]:
    plots, gauge = PlotPoints(), state.adapters.gauge
    while not state.service.waits.is_draining:
        try:
            body, reading = await state.recent_report.get()
            failed = await state.report.failed_jobs(owner)
        except StoreUnavailable:
            yield PING  # the page says itself that it hears nothing
        else:
            peaks = gauge.history.peaks() if gauge is not None else {}
            plotted = {"points": plots.of_jobs(reading.slices), "queue_points": plots.of_queue(peaks)}
            yield event({**body, **plotted, "failed_jobs": failed}, "stats")
        await state.service.waits.pause(_EVERY_SECONDS)
