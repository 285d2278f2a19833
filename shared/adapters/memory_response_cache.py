"""The response cache of one process without Redis."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from shared.domain.result import Failed, Succeeded, instant_ms
from shared.ports import Following, Hit, Leading, Run

_Key = tuple[str, str]
END_KEPT_SECONDS = 30.0
"""For who waited for a call and has not heard of its end yet."""


@dataclass(slots=True)
class _Flight:
    token: str
    end: Succeeded | Failed | None = None
    forgotten_at: float = 0.0


class MemoryResponseCache:
    """`ResponseCache` in dicts. Who leads is in this process, and leaves as long as that lives."""

    def __init__(
        self,
        max_entries: int,
        clock: Callable[[], float] = time.time,
        count_miss: Callable[[], None] = lambda: None,
    ) -> None:
        self._count_miss = count_miss
        self._max_entries = max_entries
        self._clock = clock
        self._answers: OrderedDict[_Key, tuple[float, Succeeded]] = OrderedDict()
        self._flights: dict[_Key, _Flight] = {}

    async def find(self, owner: str, fingerprint: str) -> Succeeded | None:
        until, answer = self._answers.get((owner, fingerprint), (0.0, None))
        return answer if until > self._clock() else None

    async def enter(self, run: Run, asked_at: datetime) -> Hit | Leading | Following:
        if (answer := await self.find(run.id.owner, run.fingerprint)) is not None:
            return Hit(answer)
        flight = self._flights.get(_key(run))
        if flight is not None and flight.token not in ("", run.token):
            return Following()
        if flight is not None and flight.end is not None:
            is_for_who_waited = instant_ms(flight.end.completed_at) >= instant_ms(asked_at)
            if is_for_who_waited and flight.forgotten_at > self._clock():
                return Hit(flight.end)
        if flight is None or flight.token != run.token:
            self._count_miss()
        self._flights[_key(run)] = _Flight(run.token)
        return Leading()

    async def leave(self, run: Run, end: Succeeded | Failed | None) -> None:
        flight = self._flights.get(_key(run))
        if flight is None or flight.token != run.token:
            return
        self._forget_old()
        del self._flights[_key(run)]
        if end is not None:
            forgotten_at = self._clock() + END_KEPT_SECONDS
            self._flights[_key(run)] = _Flight("", end, forgotten_at)

    async def keep(self, run: Run, result: Succeeded, ttl_seconds: int) -> None:
        self._answers.pop(_key(run), None)
        self._answers[_key(run)] = (self._clock() + ttl_seconds, result)
        if len(self._answers) > self._max_entries:
            self._answers.popitem(last=False)

    def _forget_old(self) -> None:
        """Ends stand in the order in which they came."""
        now = self._clock()
        for key, flight in list(self._flights.items()):
            if flight.token:
                continue
            if flight.forgotten_at > now:
                return
            del self._flights[key]


def _key(run: Run) -> _Key:
    return run.id.owner, run.fingerprint
