"""What a fault can see and touch while a campaign runs."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.chaos.callers import Callers
from tests.chaos.deployment import Deployment, Worker
from tests.chaos.evidence import Strike
from tests.chaos.offered_job import OfferedJob, status_of
from tests.support.provider_ledger import Call

_LOOK_SECONDS = 0.1
_MARGIN = 1.15


@dataclass(frozen=True)
class Plan:
    """One campaign."""

    fault: str
    strike: Callable[["Scene"], Awaitable[Strike]]
    jobs: int
    a_second: float
    latency_ms: tuple[int, int]
    in_flight: int = 200
    """Calls at the provider before the fault strikes."""
    wait_every: int = 10
    gateways: int = 1
    settings: Mapping[str, str] = field(default_factory=dict)
    patience_seconds: float = 90
    """Without any job ending, before the rest counts as lost."""
    retry_refusals: bool = False
    """Whether callers are refused while the fault lasts, and come back with the same id."""
    expected_complaint: str = ""
    """The error that the processes shall log while it lasts."""


class NeverBusyError(Exception):
    """The jobs were over before enough of them ran at once."""


@dataclass(frozen=True)
class Scene:
    plan: Plan
    deployment: Deployment
    callers: Callers
    jobs: Sequence[OfferedJob]
    say: Callable[[str], None]

    async def until_busy(self) -> None:
        """Until a quarter of the jobs is offered and the provider works on enough calls.

        On some more than enough, because they go on ending while we look.
        """
        while True:
            is_begun = sum(job.offered_at > 0 for job in self.jobs) >= len(self.jobs) / 4
            running = Counter(call.key_ending for call in in_flight(await self.ledger()))
            shares = [running[worker.key_ending] for worker in self.deployment.workers]
            is_shared = min(shares) >= self.plan.in_flight / 4
            if is_begun and is_shared and sum(shares) >= self.plan.in_flight * _MARGIN:
                return
            if not running and all(job.offered_at for job in self.jobs):
                raise NeverBusyError
            await asyncio.sleep(_LOOK_SECONDS)

    async def struck(self, at: float, *, victim: Worker | None = None, may_repeat: bool = False) -> Strike:
        """Note the moment `at`, which has just passed."""
        calls = await self.ledger()
        running = Counter(call.key_ending for call in calls if _ran_at(call, at))
        strike = Strike(
            at=at,
            in_flight=running.total(),
            victim_in_flight=running[victim.key_ending] if victim else None,
            victim_key=victim.key_ending if victim and may_repeat else None,
            begun_uncalled=await self._begun_uncalled(calls) if may_repeat else frozenset(),
        )
        self.say(f"struck: {strike.in_flight} calls in flight, of the victim {strike.victim_in_flight}")
        return strike

    async def ledger(self) -> list[Call]:
        return await asyncio.to_thread(self.deployment.surroundings.provider.ledger)

    async def _begun_uncalled(self, calls: Sequence[Call]) -> frozenset[str]:
        called = {call.message for call in calls}
        uncalled = [job for job in self.jobs if job.offered_at and job.prompt not in called]
        seen = await self.callers.read_many(uncalled)
        return frozenset(job.request_id for job, answer in seen if status_of(answer) == "running")


def in_flight(calls: Sequence[Call]) -> list[Call]:
    return [call for call in calls if call.status == 0 and not call.was_disconnected]


def _ran_at(call: Call, at: float) -> bool:
    """In flight at that moment: still so, or cut by it. (One that was cut before it does not happen.)"""
    return call.arrived_at < at and (call.status == 0 or call.was_disconnected)


def now() -> float:
    """The clock that the provider's ledger and the stored results share."""
    return time.time()
