"""Who the users are: how many wait, how many leave, how many go past the gateways."""

import random
from dataclasses import dataclass
from uuid import uuid4

from tests.chaos.offered_job import OfferedJob


@dataclass(frozen=True)
class JobMix:
    """Shares of all jobs; a job may belong to several."""

    waiting: float = 0.1
    """Of those that go over HTTP."""
    direct: float = 0.2
    twin: float = 0.05
    fail_on_unknown: float = 0.1
    short_deadline: float = 0.05
    deadline_seconds: tuple[float, float] = (2.0, 8.0)


def make_jobs(count: int, mix: JobMix, seed: int) -> list[OfferedJob]:
    """The same kinds in the same order for the same seed; half of the direct records have headers."""
    chance = random.Random(seed)
    return [_job(number, mix, chance) for number in range(count)]


def _job(number: int, mix: JobMix, chance: random.Random) -> OfferedJob:
    is_direct = chance.random() < mix.direct
    return OfferedJob(
        f"job {number} {uuid4()}",
        is_waiting=chance.random() < mix.waiting and not is_direct,
        is_direct=is_direct,
        has_headers=chance.random() < 0.5,
        is_twin=chance.random() < mix.twin,
        on_unknown="fail" if chance.random() < mix.fail_on_unknown else "retry",
        deadline_seconds=_deadline(mix, chance),
    )


def _deadline(mix: JobMix, chance: random.Random) -> float | None:
    seconds = round(chance.uniform(*mix.deadline_seconds), 3)
    return seconds if chance.random() < mix.short_deadline else None
