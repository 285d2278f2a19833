"""The answer of `/stats`, and the points of its plots."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from gateway.app_state import AppState
from gateway.figures import Amounts, add_up, figures
from gateway.queue_history import Peak
from gateway.stats_reader import Reading
from gateway.verdict import Evidence, verdict
from shared.domain.queue_load import QueueLoad
from shared.domain.replica import Replica, unwell_first
from shared.domain.timestamps import rfc3339, rfc3339_now
from shared.domain.totals import SINCE_MS, SLICE_SECONDS
from shared.ports import StoreUnavailable

_WINDOWS = {"last_1_minute": 60, "last_5_minutes": 300, "last_60_minutes": 3_600}
_MOST_REPLICAS = 200
_POINT = ("requests", "cache", "tokens", "cost_usd", "errors", "latency_ms")


async def report(state: AppState, owner: str) -> tuple[dict[str, Any], Reading]:
    """Of the whole service, and what it was made of; of single jobs, the owner's alone."""
    reading, replicas, failures = await asyncio.gather(
        state.reader.read(), _replicas(state), state.adapters.store.failures(owner)
    )
    pending = state.stats.pending  # this gateway's last second
    load = state.adapters.gauge.load if state.adapters.gauge is not None else None
    windows = {name: _window(reading, seconds, pending) for name, seconds in _WINDOWS.items()}
    body = {
        "timestamp": rfc3339_now(),
        "mode": state.adapters.mode,
        "scope": "cluster" if await state.adapters.store.is_available() else "process",
        "verdict": verdict(_evidence(state, load, windows["last_1_minute"], replicas)),
        "dependencies": _dependencies(state),
        "queue": _queue(load),
        "in_flight": load.running if load is not None else None,
        "waiting": len(state.service.waits),
        "total": {"since": _since(reading.totals), **figures(add_up([reading.totals, pending]))},
        **windows,
        "replicas": [_replica(replica) for replica in replicas[:_MOST_REPLICAS]],
        "last_failed": [failure.model_dump(mode="json") for failure in failures],
    }
    return body, reading


def queue_points(peaks: Mapping[int, Peak]) -> list[dict[str, int]]:
    """The same of what ran and waited at most."""
    return [
        {"at": start, "seconds": SLICE_SECONDS, "in_flight": running, "lag": waiting}
        for start, (running, waiting) in peaks.items()
    ]


def _dependencies(state: AppState) -> dict[str, bool | None]:
    seen, is_distributed = state.dependencies, state.adapters.mode == "distributed"
    return {
        "redis": seen.is_store_available if state.settings.redis_enabled else None,
        "kafka": seen.is_queue_available if is_distributed else None,
    }


async def _replicas(state: AppState) -> Sequence[Replica]:
    """None while the store is away: what is not heard says nothing."""
    try:
        return unwell_first(await state.adapters.replicas.read())
    except StoreUnavailable:
        return ()


def _evidence(
    state: AppState, load: QueueLoad | None, minute: Mapping[str, Any], replicas: Sequence[Replica]
) -> Evidence:
    return Evidence(
        is_distributed=state.adapters.mode == "distributed",
        is_queue_available=state.dependencies.is_queue_available,
        is_store_available=state.dependencies.is_store_available,
        load=load,
        max_wait_seconds=state.settings.llm_max_queue_seconds,
        succeeded=minute["requests"]["succeeded"],
        errors=minute["errors"],
        replicas=replicas,
    )


def _replica(replica: Replica) -> dict[str, Any]:
    return {
        **replica.report.model_dump(mode="json"),
        "state": replica.state,
        "silent_seconds": round(replica.silent_seconds, 1),
    }


def points(slices: Mapping[int, Amounts]) -> list[dict[str, Any]]:
    """The figures of every ten seconds in which something happened."""
    return [_point(start, sums) for start, sums in slices.items() if sums]


def _point(start: int, sums: Amounts) -> dict[str, Any]:
    told = figures(sums)
    return {"at": start, "seconds": SLICE_SECONDS, **{name: told[name] for name in _POINT}}


def _window(reading: Reading, seconds: int, pending: Counter[str]) -> dict[str, Any]:
    since = time.time() - seconds
    return figures(add_up([*(sums for start, sums in reading.slices.items() if start >= since), pending]))


def _since(totals: Amounts) -> str | None:
    since_ms = totals.get(SINCE_MS)
    return rfc3339(datetime.fromtimestamp(since_ms / 1000, UTC)) if since_ms is not None else None


def _queue(load: QueueLoad | None) -> dict[str, float | None]:
    if load is None:
        return dict.fromkeys(("lag", "drain_per_second", "expected_wait_seconds"))
    wait_seconds = load.expected_wait_seconds
    return {
        "lag": load.lag,
        "drain_per_second": round(load.drain_per_second, 3),
        "expected_wait_seconds": round(wait_seconds, 3) if wait_seconds is not None else None,
    }
