"""The limits of one process. Nothing outlives it, and nobody shares it."""

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.job import JobId
from shared.domain.limits import DAY_SECONDS, MINUTE_SECONDS, Demand, Limits, Spent, Standing, shortages


@dataclass(slots=True, eq=False)
class _Request:
    """What a job counts in the minute it came."""

    leaves_at: float
    tokens: int


@dataclass(slots=True)
class _Hold:
    ends_at: float
    nano_dollars: int
    request: _Request


@dataclass(slots=True)
class _Owner:
    minute: deque[_Request] = field(default_factory=deque)
    tokens: int = 0
    holds: dict[str, _Hold] = field(default_factory=dict)
    next_end: float = math.inf
    reserved: int = 0
    spent: int = 0
    day: int = 0


class MemoryLimiter:
    """`Limiter` in a dict: a sliding log for the minute, a sum for the UTC day."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._owners: dict[str, _Owner] = {}

    async def take(
        self, job_id: JobId, limits: Limits, demand: Demand, expires_at: datetime
    ) -> tuple[bool, Standing]:
        owner, now = self._owner(job_id.owner), self._clock()
        wanted = owner.tokens + demand.tokens - limits.tokens_per_minute if limits.tokens_per_minute else 0
        standing = _standing(owner, now, wanted)
        if job_id.request_id in owner.holds:
            return True, standing
        if shortages(limits, demand, standing):
            return False, standing
        request = _Request(now + MINUTE_SECONDS, demand.tokens)
        hold = _Hold(expires_at.timestamp(), demand.nano_dollars, request)
        owner.minute.append(request)
        owner.tokens += demand.tokens
        owner.reserved += demand.nano_dollars
        owner.holds[job_id.request_id] = hold
        owner.next_end = min(owner.next_end, hold.ends_at)
        return True, _standing(owner, now, 0)

    async def settle(self, job_id: JobId, spent: Spent) -> None:
        owner = self._owner(job_id.owner)
        hold = owner.holds.get(job_id.request_id)
        if hold is None:
            return
        if spent.tokens is not None and hold.request.leaves_at > self._clock():
            owner.tokens += spent.tokens - hold.request.tokens
            hold.request.tokens = spent.tokens
        owner.spent += hold.nano_dollars if spent.nano_dollars is None else spent.nano_dollars
        _end(owner, job_id.request_id)

    async def give_back(self, job_id: JobId) -> None:
        owner = self._owner(job_id.owner)
        hold = owner.holds.get(job_id.request_id)
        if hold is None:
            return
        if hold.request.leaves_at > self._clock():
            owner.minute.remove(hold.request)
            owner.tokens -= hold.request.tokens
        _end(owner, job_id.request_id)

    def holds(self, job_id: JobId) -> bool:
        """Whether the job was admitted here and has not ended."""
        return job_id.owner in self._owners and job_id.request_id in self._owner(job_id.owner).holds

    def _owner(self, name: str) -> _Owner:
        """Up to date: what has passed is not counted any more."""
        owner, now = self._owners.setdefault(name, _Owner()), self._clock()
        while owner.minute and owner.minute[0].leaves_at <= now:
            owner.tokens -= owner.minute.popleft().tokens
        if owner.next_end <= now:
            for request_id in [name for name, hold in owner.holds.items() if hold.ends_at <= now]:
                _end(owner, request_id)
            owner.next_end = min((hold.ends_at for hold in owner.holds.values()), default=math.inf)
        if owner.day != now // DAY_SECONDS:
            owner.day, owner.spent = int(now // DAY_SECONDS), 0
        return owner


def _end(owner: _Owner, request_id: str) -> None:
    owner.reserved -= owner.holds.pop(request_id).nano_dollars


def _standing(owner: _Owner, now: float, tokens_wanted: int) -> Standing:
    first, enough = now, now
    if owner.minute:
        first = enough = owner.minute[0].leaves_at
    for request in owner.minute if tokens_wanted > 0 else ():
        tokens_wanted -= request.tokens
        enough = request.leaves_at
        if tokens_wanted <= 0:
            break
    return Standing(
        requests=len(owner.minute),
        tokens=owner.tokens,
        in_flight=len(owner.holds),
        nano_dollars=owner.spent + owner.reserved,
        nano_dollars_spent=owner.spent,
        request_leaves_seconds=first - now,
        tokens_leave_seconds=enough - now,
        day_ends_seconds=DAY_SECONDS - now % DAY_SECONDS,
    )
