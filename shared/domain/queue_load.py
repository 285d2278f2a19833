"""How full the queue is, and how fast it empties."""

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt


class WorkerLoad(BaseModel):
    """What one worker says of itself."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    waiting: NonNegativeInt
    """Jobs of its partitions that it has not begun."""
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

    @property
    def expected_wait_seconds(self) -> float | None:
        """Of the next job; None where nobody can tell, because none has ended yet."""
        if not self.lag:
            return 0.0
        return self.lag / self.drain_per_second if self.drain_per_second else None


def load_of(workers: Iterable[WorkerLoad]) -> QueueLoad | None:
    """None: no worker is there to say anything."""
    loads = list(workers)
    if not loads:
        return None
    lag, drain = sum(load.waiting for load in loads), sum(load.drain_per_second for load in loads)
    free = sum(load.free for load in loads)
    return QueueLoad(lag, sum(load.running for load in loads), drain, free)
