"""What only a gateway sees, added to the sums of the whole service once a second."""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from functools import lru_cache

from loguru import logger

from gateway.metrics import CACHE_LOOKUPS, JOINS, REFUSALS, REQUESTS
from gateway.service import Accepted, Answered
from shared.domain.errors import ErrorCode
from shared.ports import StoreUnavailable, Sums

_FLUSH_SECONDS = 1.0
_TOLD_BY_NO_RESULT = frozenset({"accepted", "replayed"})


class Stats:
    """Counts of this gateway that the sums do not hold yet. Results count where they are stored."""

    def __init__(self, sums: Sums) -> None:
        self.started_at = datetime.now(UTC)
        self._sums = sums
        self._pending: Counter[str] = Counter()

    @property
    def pending(self) -> Counter[str]:
        """Not in the sums yet, because a second has not passed or the store is away."""
        return self._pending

    def count_outcome(self, outcome: Answered | Accepted) -> None:
        """One answered or accepted submission."""
        told = _told(outcome)
        _requests(told).inc()
        if outcome.is_joined:
            JOINS.inc()
        if isinstance(outcome, Answered) and outcome.is_cache_hit:
            _CACHE_HITS.inc()
        if told in _TOLD_BY_NO_RESULT:
            self._pending[told] += 1

    def count_refusal(self, code: ErrorCode) -> None:
        """One request that never became a job."""
        REQUESTS.labels("refused").inc()
        REFUSALS.labels(code).inc()
        self._pending["refused"] += 1
        self._pending[f"error:{code}"] += 1

    async def flush(self) -> None:
        """Bring what is pending to the sums; while the store is away it waits here.

        A reply that got lost counts twice: these are figures to look at, and no bill is made of them.
        """
        taken, self._pending = self._pending, Counter()
        try:
            await self._sums.count(taken)
        except StoreUnavailable:
            self._pending.update(taken)

    async def flush_forever(self) -> None:
        """From now on, the first time at once: so the sums know since when they count."""
        while True:
            try:
                await self.flush()
            except Exception:
                logger.exception("counts_not_told")
            await asyncio.sleep(_FLUSH_SECONDS)


_requests = lru_cache(REQUESTS.labels)
_CACHE_HITS = CACHE_LOOKUPS.labels("hit")


def _told(outcome: Answered | Accepted) -> str:
    if isinstance(outcome, Accepted):
        return "accepted"
    return "replayed" if outcome.is_replay else outcome.result.status
