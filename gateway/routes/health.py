"""`GET /health`, `/health/live`, `/health/ready`: none makes a paid call."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response

from gateway.app_state import AppState, app_state
from gateway.error_responses import json_response
from gateway.openapi import HEALTH_ANSWERS, LIVE_ANSWERS, READY_ANSWERS

router = APIRouter(prefix="/health", tags=["operations"])


@router.get("", responses=HEALTH_ANSWERS)
async def health(request: Request) -> Response:
    """Status, version, and one entry a dependency."""
    state = app_state(request)
    is_store_available, is_queue_available = await _dependencies(state)
    is_healthy = is_store_available and is_queue_available
    body: dict[str, Any] = {
        "status": "healthy" if is_healthy else "degraded",
        "service": state.settings.llm_app_name,
        "version": state.settings.llm_version,
        "mode": state.adapters.mode,
        "durable": state.adapters.mode == "distributed",
        "dependencies": {
            "redis": _redis_state(state, is_available=is_store_available),
            "kafka": _kafka_state(state, is_available=is_queue_available),
            "langchain": "in this process" if state.adapters.mode == "one process" else "in the workers",
        },
    }
    return json_response(body, 200 if is_queue_available else 503)


@router.get("/live", responses=LIVE_ANSWERS)
async def live() -> Response:
    """The process answers; no dependency is asked."""
    return json_response({"status": "alive"})


@router.get("/ready", responses=READY_ANSWERS)
async def ready(request: Request) -> Response:
    """Whether a job would be accepted."""
    is_ready = await app_state(request).adapters.queue.is_available()  # without Redis, jobs go on
    return json_response({"status": "ready" if is_ready else "unavailable"}, 200 if is_ready else 503)


async def _dependencies(state: AppState) -> tuple[bool, bool]:
    store, queue = await asyncio.gather(
        state.adapters.store.is_available(), state.adapters.queue.is_available()
    )
    return store, queue


def _redis_state(state: AppState, *, is_available: bool) -> str:
    if not state.settings.redis_enabled:
        return "disabled: results live in memory"
    if is_available:
        return "available"
    if state.adapters.mode == "one process":
        return "unavailable: results live in memory"
    limits = ", each gateway counts its own callers" if state.adapters.limits is not None else ""
    return f"unavailable: results come through Kafka, each process knows only the ids it has seen{limits}"


def _kafka_state(state: AppState, *, is_available: bool) -> str:
    if state.adapters.mode == "one process":
        return "not used for jobs: they wait in memory and do not outlive the process"
    return "available" if is_available else "unavailable"
