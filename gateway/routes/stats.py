"""`GET /stats`."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from gateway.app_state import app_state
from gateway.error_responses import json_response
from gateway.openapi import STATS_ANSWERS
from shared.domain.queue_load import QueueLoad

router = APIRouter(tags=["operations"])

_ENDINGS = ("succeeded", "failed", "expired", "cancelled")
_SUMS = (
    "provider_calls",
    "cache_hits",
    "cache_misses",
    "prompt_tokens",
    "completion_tokens",
    "possible_duplicate_charges",
)


@router.get("/stats", responses=STATS_ANSWERS)
async def stats(request: Request) -> Response:
    """Counts of this process since its start, and sums over all stored results of the whole service."""
    state = app_state(request)
    totals = await state.adapters.store.totals()
    own = state.stats.body(waiting=len(state.service.waits))
    load = state.adapters.gauge.load if state.adapters.gauge is not None else None
    return json_response({**own, "queue": _queue(load), "totals": _totals(totals)})


def _queue(load: QueueLoad | None) -> dict[str, float | None]:
    if load is None:
        return dict.fromkeys(("lag", "drain_per_second", "expected_wait_seconds"))
    wait_seconds = load.expected_wait_seconds
    return {
        "lag": load.lag,
        "drain_per_second": round(load.drain_per_second, 3),
        "expected_wait_seconds": round(wait_seconds, 3) if wait_seconds is not None else None,
    }


def _totals(stored: Mapping[str, int]) -> dict[str, Any]:
    return {
        "jobs": {ending: stored.get(f"jobs_{ending}", 0) for ending in _ENDINGS},
        **{name: stored.get(name, 0) for name in _SUMS},
    }
