"""The answer of `/stats`, and the points of its plots."""

import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.app_state import AppState
from gateway.figures import Amounts, add_up, figures
from gateway.stats_reader import Reading
from shared.domain.queue_load import QueueLoad
from shared.domain.timestamps import rfc3339, rfc3339_now
from shared.domain.totals import SINCE_MS, SLICE_SECONDS

_WINDOWS = {"last_1_minute": 60, "last_5_minutes": 300, "last_60_minutes": 3_600}
_POINT = ("requests", "cache", "tokens", "cost_usd", "errors", "latency_ms")


async def report(state: AppState) -> tuple[dict[str, Any], Reading]:
    """Of the whole service, and what it was made of."""
    reading = await state.reader.read()
    pending = state.stats.pending  # this gateway's last second
    load = state.adapters.gauge.load if state.adapters.gauge is not None else None
    body = {
        "timestamp": rfc3339_now(),
        "mode": state.adapters.mode,
        "scope": "cluster" if await state.adapters.store.is_available() else "process",
        "queue": _queue(load),
        "in_flight": load.running if load is not None else None,
        "waiting": len(state.service.waits),
        "total": {"since": _since(reading.totals), **figures(add_up([reading.totals, pending]))},
        **{name: _window(reading, seconds, pending) for name, seconds in _WINDOWS.items()},
    }
    return body, reading


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
