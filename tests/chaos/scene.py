"""What a fault can see and touch while a campaign runs."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.chaos.callers import Callers
from tests.chaos.deployment import Deployment, Worker
from tests.chaos.job_mix import JobMix
from tests.chaos.offered_job import OfferedJob, status_of
from tests.chaos.strike import Strike
from tests.support.provider_ledger import Call

_LOOK_SECONDS = 0.2
_MARGIN = 1.15
_LONGEST_RUN_UP_SECONDS = 15.0

Fault = Callable[["Scene"], Awaitable[Strike]]


@dataclass(frozen=True)
class Planned:
    """A fault to come."""

    name: str
    fault: Fault
    pause_seconds: float = 0.0
    """Of peace before it."""


@dataclass(frozen=True)
class Plan:
    """One campaign."""

    fault: str
    strike: Fault
    jobs: int
    a_second: float
    latency_ms: tuple[int, int]
    in_flight: int = 200
    """Calls at the provider before the fault strikes."""
    mix: JobMix = field(default_factory=JobMix)
    gateways: int = 1
    settings: Mapping[str, str] = field(default_factory=dict)
    patience_seconds: float = 90
    """Without any job ending, before the rest counts as lost."""
    retry_refusals: bool = False
    """Whether callers are refused while the fault lasts, and come back with the same id."""
    expected_complaint: str = ""
    """The error that the processes shall log while it lasts."""
    schedule: Sequence[Planned] = ()
    """Faults one after the other, instead of `strike`, for as long as jobs are offered."""
    most_unread: int | None = None
    """Offers pause at so many open jobs: for a rate beyond what the service takes."""
    seed: int = 0
    """Of the jobs' kinds."""


@dataclass
class Called:
    """Prompts that reached the provider, as far as it was asked about them."""

    prompts: set[str] = field(default_factory=set)
    last_number: int = 0

    def note(self, calls: Sequence[Call]) -> None:
        self.prompts.update(call.message for call in calls)
        self.last_number = max((call.number for call in calls), default=self.last_number)


class NeverBusyError(Exception):
    """The jobs were over before enough of them ran at once."""


@dataclass(frozen=True)
class Scene:
    plan: Plan
    deployment: Deployment
    callers: Callers
    jobs: Sequence[OfferedJob]
    say: Callable[[str], None]
    called: Called = field(default_factory=Called)

    @property
    def offered(self) -> int:
        return sum(job.offered_at > 0 for job in self.jobs)

    async def until_busy(self) -> None:
        """Until the load has run up and the provider works on enough calls of every worker.

        On some more than enough, because they go on ending while we look.
        """
        run_up = min(len(self.jobs) / 4, self.plan.a_second * _LONGEST_RUN_UP_SECONDS)
        while True:
            running = Counter(call.key_ending for call in await self.running())
            shares = [running[worker.key_ending] for worker in self.deployment.standing_workers]
            is_shared = min(shares) >= self.plan.in_flight / 4
            if self.offered >= run_up and is_shared and sum(shares) >= self.plan.in_flight * _MARGIN:
                return
            if not running and self.offered == len(self.jobs):
                raise NeverBusyError
            await asyncio.sleep(_LOOK_SECONDS)

    async def struck(self, at: float, *, victim: Worker | None = None, may_repeat: bool = False) -> Strike:
        """Note the moment `at`, which has just passed."""
        running = Counter(call.key_ending for call in await self.running(at))
        strike = Strike(
            at=at,
            in_flight=running.total(),
            victim_in_flight=running[victim.key_ending] if victim else None,
            victim_key=victim.key_ending if victim and may_repeat else None,
            begun_uncalled=await self.begun_uncalled() if may_repeat else frozenset(),
        )
        self.say(f"struck: {strike.in_flight} calls in flight, of the victim {strike.victim_in_flight}")
        return strike

    async def ledger(self) -> list[Call]:
        """Every call; slow when there are many."""
        return await asyncio.to_thread(self.deployment.surroundings.provider.ledger)

    async def running(self, at: float | None = None) -> list[Call]:
        """The calls in flight, now or at that moment."""
        return await asyncio.to_thread(
            self.deployment.surroundings.provider.running_at, now() if at is None else at
        )

    async def begun_uncalled(self) -> frozenset[str]:
        """The ids of jobs that some worker has begun and that the provider has not been asked about."""
        provider = self.deployment.surroundings.provider
        self.called.note(await asyncio.to_thread(provider.calls_after, self.called.last_number))
        uncalled = [job for job in self.jobs if job.is_open and job.prompt not in self.called.prompts]
        seen = await self.callers.read_many(uncalled)
        return frozenset(job.request_id for job, answer in seen if status_of(answer) == "running")


def now() -> float:
    """The clock that the provider's ledger and the stored results share."""
    return time.time()
