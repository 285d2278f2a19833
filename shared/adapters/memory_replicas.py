"""The replicas of a service that is one process."""

import time
from collections.abc import Callable

from shared.domain.replica import REMEMBERED_SECONDS, Replica, ReplicaReport


class MemoryReplicas:
    """`Replicas` in a dict."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[str, tuple[float, ReplicaReport]] = {}

    async def tell(self, replica: str, report: ReplicaReport) -> None:
        self._told[replica] = (self._clock(), report)

    async def leave(self, replica: str) -> None:
        self._told.pop(replica, None)

    async def read(self) -> list[Replica]:
        now = self._clock()
        self._told = {name: told for name, told in self._told.items() if now - told[0] <= REMEMBERED_SECONDS}
        return [Replica(report, now - at) for at, report in self._told.values()]
