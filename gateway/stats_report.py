"""The answer of `/stats`."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.adapters import Adapters
from gateway.dependencies import DependencyWatch
from gateway.figures import Amounts, add_up, figures
from gateway.settings import GatewaySettings
from gateway.stats import Stats
from gateway.stats_reader import Reading, StatsReader
from gateway.verdict import Evidence, verdict
from gateway.waits import Waits
from shared.domain.queue_load import QueueLoad
from shared.domain.replica import Replica, unwell_first
from shared.domain.timestamps import rfc3339, rfc3339_now
from shared.domain.totals import SINCE_MS
from shared.ports import StoreUnavailable

_WINDOWS = {"last_1_minute": 60, "last_5_minutes": 300, "last_60_minutes": 3_600}
_MOST_REPLICAS = 200


@dataclass(frozen=True, slots=True)
class StatsReport:
    """Of the whole service, as one gateway tells it."""

    settings: GatewaySettings
    adapters: Adapters
    waits: Waits
    stats: Stats
    reader: StatsReader
    dependencies: DependencyWatch

    async def make(self) -> tuple[dict[str, Any], Reading]:
        """The report, and the sums that it is made of."""
        reading, replicas = await asyncio.gather(self.reader.read(), self._replicas())
        pending = self.stats.pending  # this gateway's last second
        load = gauge.load if (gauge := self.adapters.gauge) is not None else None
        windows = {name: _window(reading, seconds, pending) for name, seconds in _WINDOWS.items()}
        body = {
            "timestamp": rfc3339_now(),
            "mode": self.adapters.mode,
            "scope": "cluster" if await self.adapters.store.is_available() else "process",
            "verdict": verdict(self._evidence(load, windows["last_1_minute"], replicas)),
            "dependencies": self._known_dependencies(),
            "queue": _queue(load),
            "in_flight": load.running if load is not None else None,
            "waiting": len(self.waits),
            "total": {"since": _since(reading.totals), **figures(add_up([reading.totals, pending]))},
            **windows,
            "replicas": [_replica(replica) for replica in replicas[:_MOST_REPLICAS]],
        }
        return body, reading

    async def failed_jobs(self, owner: str) -> list[dict[str, Any]]:
        """Single jobs, which are their owner's alone to see."""
        return [failure.model_dump(mode="json") for failure in await self.adapters.store.failures(owner)]

    def _known_dependencies(self) -> dict[str, bool | None]:
        seen = self.dependencies
        return {
            "redis": seen.is_store_available if self.settings.redis_enabled else None,
            "kafka": seen.is_queue_available if self.adapters.is_distributed else None,
        }

    async def _replicas(self) -> Sequence[Replica]:
        """None while the store is away: nobody can be heard then."""
        try:
            return unwell_first(await self.adapters.replicas.read())
        except StoreUnavailable:
            return ()

    def _evidence(
        self, load: QueueLoad | None, minute: Mapping[str, Any], replicas: Sequence[Replica]
    ) -> Evidence:
        return Evidence(
            is_distributed=self.adapters.is_distributed,
            is_queue_available=self.dependencies.is_queue_available,
            is_store_available=self.dependencies.is_store_available,
            load=load,
            max_wait_seconds=self.settings.llm_max_queue_seconds,
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
