"""How full the queue is, and how fast it empties."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt

from shared.domain.priority import Priority, Weights


class WorkerLoad(BaseModel):
    """What one worker says of itself."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    waiting: NonNegativeInt
    """Jobs of its partitions that it has not begun."""
    waiting_high: NonNegativeInt = 0
    waiting_low: NonNegativeInt = 0
    """Those of them that are not of normal priority."""
    running: NonNegativeInt
    run_seconds: NonNegativeFloat | None = None
    """How long a job has taken lately; None: it has finished none."""
    slots: NonNegativeInt = 0
    """How many it can run at once; 0: it did not say."""

    @property
    def free(self) -> int:
        """Jobs that it could begin at once."""
        return max(0, self.slots - self.running - self.waiting)

    @property
    def drain_per_second(self) -> float:
        """By Little's law, jobs that end a second while `running` of them run."""
        return self.running / self.run_seconds if self.run_seconds else 0.0


@dataclass(frozen=True, slots=True)
class QueueLoad:
    """What all workers together say."""

    lag: int
    """Jobs that wait."""
    running: int
    """Jobs that run."""
    drain_per_second: float
    """Jobs that end; while none waits, not more than there are."""
    free: int = 0
    """Jobs that would not wait at all."""
    lag_high: int = 0
    lag_low: int = 0
    """Those of the jobs that wait that are not of normal priority."""

    @property
    def expected_wait_seconds(self) -> float | None:
        """Of the next job; None where nobody can tell, because none has ended yet."""
        if not self.lag:
            return 0.0
        return self.lag / self.drain_per_second if self.drain_per_second else None

    def wait_seconds_of(self, priority: Priority, weights: Weights) -> float | None:
        """The same for one lane: until it is through, the others have no more than their shares."""
        lags = self.lags
        if not lags[priority]:
            return 0.0
        turns = lags[priority] / weights[priority]
        before = sum(min(lag, turns * weights[lane]) for lane, lag in lags.items())
        return before / self.drain_per_second if self.drain_per_second else None

    def after(self, added: Counter[Priority], begun: int) -> "QueueLoad":
        """With the jobs that came since, less those that began, which are taken off all lanes alike."""
        before = self.lag + added.total()
        lag = max(0, before - begun)
        share = lag / before if before else 0.0
        return replace(
            self,
            lag=lag,
            lag_high=int((self.lag_high + added["high"]) * share),
            lag_low=int((self.lag_low + added["low"]) * share),
        )

    @property
    def lags(self) -> dict[Priority, int]:
        normal = max(0, self.lag - self.lag_high - self.lag_low)
        return {"high": self.lag_high, "normal": normal, "low": self.lag_low}


def load_of(workers: Iterable[WorkerLoad]) -> QueueLoad | None:
    """None: no worker is there to say anything."""
    loads = list(workers)
    if not loads:
        return None
    lag, drain = sum(load.waiting for load in loads), sum(load.drain_per_second for load in loads)
    return QueueLoad(
        lag,
        sum(load.running for load in loads),
        drain,
        sum(load.free for load in loads),
        sum(load.waiting_high for load in loads),
        sum(load.waiting_low for load in loads),
    )
