"""A service in miniature on a clock of its own: requests meet a limit, a core, and a provider."""

import heapq
from collections import deque
from collections.abc import Callable

from gateway.in_flight_limit import InFlightLimit
from gateway.turns import Turns

Started = float


class QueueModel:
    """`slots` jobs are with the provider at once; one core hands on so many a second."""

    def __init__(
        self, max_wait_seconds: float, *, per_second: float = 2000.0, slots: int = 10_000, gateways: int = 1
    ) -> None:
        self.now = 0.0
        self.limits = [InFlightLimit(max_wait_seconds, lambda: self.now) for _ in range(gateways)]
        self.per_second = per_second
        self.slots = slots
        self.provider_seconds = 0.001
        self.base_seconds = 0.003
        self.waits: list[float] = []
        self.refused = 0
        self.ended = [0] * gateways
        self.to_come: list[float] | None = None
        """When those who were refused come again; None: they do not."""
        self._turns = Turns(lambda: self.now)
        self._waiting: deque[tuple[Started, int]] = deque()
        self._called: list[tuple[float, Started, int]] = []
        self._credit = 0.0

    @property
    def limit(self) -> InFlightLimit:
        return self.limits[0]

    def run(self, seconds: float, offered_per_second: Callable[[float], float] | float) -> "QueueModel":
        """Arrivals in even steps of a millisecond; counts begin anew."""
        self.waits, self.refused, self.ended = [], 0, [0] * len(self.limits)
        until, due, turn = self.now + seconds, 0.0, 0
        while self.now < until:
            self.now += 0.001
            due += 0.001 * (
                offered_per_second if isinstance(offered_per_second, float) else offered_per_second(self.now)
            )
            while due >= 1:
                due -= 1
                turn += 1
                self._arrive(turn % len(self.limits))
            while self.to_come and self.to_come[0] <= self.now:
                heapq.heappop(self.to_come)
                self._arrive(0)
            self._work()
        return self

    def _arrive(self, gateway: int) -> None:
        if self.limits[gateway].enter():
            self._waiting.append((self.now, gateway))
        else:
            self.refused += 1
            if self.to_come is not None:
                seconds = self._turns.next_seconds(self.limits[gateway].ends_per_second)
                heapq.heappush(self.to_come, self.now + seconds)

    def _work(self) -> None:
        self._credit = min(self._credit + self.per_second * 0.001, max(1.0, self.per_second * 0.001))
        while self._waiting and self._credit >= 1 and len(self._called) < self.slots:
            self._credit -= 1
            started, gateway = self._waiting.popleft()
            ends_at = self.now + self.provider_seconds + self.base_seconds
            heapq.heappush(self._called, (ends_at, started, gateway))
        while self._called and self._called[0][0] <= self.now:
            _, started, gateway = heapq.heappop(self._called)
            self.waits.append(self.now - started - self.provider_seconds)
            self.ended[gateway] += 1
            self.limits[gateway].leave()
            self.limits[gateway].learn(started, self.provider_seconds)

    def percentile(self, share: float) -> float:
        """Of the waits of all that ended."""
        return sorted(self.waits)[int(share * len(self.waits))]
