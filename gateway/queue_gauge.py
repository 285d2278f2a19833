"""How long a new job would wait, and when it is not let in for that."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from gateway.metrics import QUEUE_DRAIN, QUEUE_LAG, QUEUE_WAIT
from gateway.ports import JobQueue, QueueUnavailable
from gateway.queue_history import QueueHistory
from shared.domain.job import Job
from shared.domain.priority import DEFAULT_WEIGHTS, Priority, Weights, parse_weights
from shared.domain.queue_load import QueueLoad
from shared.ports import StoreUnavailable

_LOOK_SECONDS = 1.0
_SOONEST_SECONDS = 1.0
_WEIGHTS = parse_weights(DEFAULT_WEIGHTS)
_UNKNOWN = float("nan")

ReadLoad = Callable[[], Awaitable[QueueLoad | None]]


class QueueGauge:
    """The load as it was read last, and the jobs that this process has added since."""

    def __init__(
        self,
        read: ReadLoad,
        max_wait_seconds: float,
        weights: Weights = _WEIGHTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._max_wait_seconds = max_wait_seconds
        self._load: QueueLoad | None = None
        self._weights = weights
        self._added: Counter[Priority] = Counter()
        self._clock = clock
        self._looked_at = clock()
        self.history = QueueHistory()

    @property
    def load(self) -> QueueLoad | None:
        """None: nobody knows. Since the look, free slots took the first that were added, and others ended."""
        load = self._load
        if load is None:
            return None
        ended = int(load.drain_per_second * (self._clock() - self._looked_at))
        return load.after(self._added, load.free + ended)

    async def look(self) -> None:
        """Read the load anew."""
        try:
            self._load = await self._read()
        except StoreUnavailable:
            self._load = None
        self._added.clear()
        self._looked_at = self._clock()
        self.history.note(self._load)
        _show(self._load)

    async def follow(self) -> None:
        """Look for ever."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    def check(self, priority: Priority = "normal") -> None:
        """`QueueUnavailable` if a new job would wait too long; what nobody knows refuses nobody."""
        load = self.load
        wait_seconds = load.wait_seconds_of(priority, self._weights) if load is not None else None
        if load is None or wait_seconds is None or not 0 < self._max_wait_seconds < wait_seconds:
            return
        raise QueueUnavailable(
            f"{load.lag} jobs wait, {load.drain_per_second:.3g} end a second: a new one would wait "
            f"{wait_seconds:.3g} s, and LLM_MAX_QUEUE_SECONDS allows {self._max_wait_seconds:g}",
            is_full=True,
            retry_after_seconds=max(_SOONEST_SECONDS, wait_seconds - self._max_wait_seconds),
        )

    def add(self, priority: Priority = "normal") -> None:
        """A job that is not in the load yet."""
        self._added[priority] += 1


class BoundedJobQueue:
    """`JobQueue` over another one, as long as the wait behind it allows."""

    def __init__(self, queue: JobQueue, gauge: QueueGauge) -> None:
        self._queue = queue
        self._gauge = gauge

    async def enqueue(self, job: Job) -> None:
        self._gauge.check(job.priority)
        await self._queue.enqueue(job)
        self._gauge.add(job.priority)

    async def is_available(self) -> bool:
        return await self._queue.is_available()


def _show(load: QueueLoad | None) -> None:
    wait_seconds = load.expected_wait_seconds if load is not None else None
    QUEUE_LAG.set(load.lag if load is not None else _UNKNOWN)
    QUEUE_DRAIN.set(load.drain_per_second if load is not None else _UNKNOWN)
    QUEUE_WAIT.set(wait_seconds if wait_seconds is not None else _UNKNOWN)
