"""What a campaign leaves behind to be judged."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tests.chaos.offered_job import OfferedJob
from tests.support.provider_ledger import Call

_ON_THE_WAY_SECONDS = 1.0
"""A call that was sent before the fault may reach the provider after it."""


@dataclass(frozen=True)
class Strike:
    """The fault, at the moment it hit."""

    at: float
    in_flight: int
    """Calls that the provider was working on."""
    victim_in_flight: int | None = None
    """Those of them that the victim had made, if it was a worker."""
    victim_key: str | None = None
    """Set if a job that ran on the victim may be called again."""
    begun_uncalled: frozenset[str] = frozenset()
    """Request ids that were running, and whose call had not reached the provider: to the next owner such a
    job looks like one that was called, so its result is flagged without a second call."""
    over_at: float = 0.0
    """Until then nobody could be told a result."""
    exit_code: int | None = None
    """Of a victim that was asked to leave."""


@dataclass(frozen=True)
class Evidence:
    """Both sides of the same jobs: what callers saw, and what the provider was asked."""

    fault: str
    least_in_flight: int
    expected_complaint: str
    jobs: Sequence[OfferedJob]
    calls: Sequence[Call]
    strike: Strike | None
    uncommitted_records: int
    complaints: Counter[str]
    seconds: float

    @cached_property
    def job_of_prompt(self) -> dict[str, OfferedJob]:
        return {job.prompt: job for job in self.jobs}

    @cached_property
    def calls_of_prompt(self) -> dict[str, list[Call]]:
        calls: dict[str, list[Call]] = {}
        for call in self.calls:
            calls.setdefault(call.message, []).append(call)
        return calls

    def calls_of(self, job: OfferedJob) -> list[Call]:
        return self.calls_of_prompt.get(job.prompt, [])

    @cached_property
    def repeated(self) -> list[OfferedJob]:
        """Jobs that the provider was asked about more than once."""
        return [job for job in self.jobs if len(self.calls_of(job)) > 1]

    @property
    def offered(self) -> int:
        return sum(job.offered_at > 0 for job in self.jobs)

    @cached_property
    def accepted(self) -> list[OfferedJob]:
        return [job for job in self.jobs if job.accepted_at is not None]

    @property
    def answered(self) -> int:
        return sum(not job.is_lost for job in self.accepted)

    @property
    def surplus_calls(self) -> int:
        return sum(len(self.calls_of(job)) - 1 for job in self.repeated)

    @property
    def flagged_uncalled(self) -> int:
        """Results that admit a second call which never was."""
        return sum(job.is_flagged and len(self.calls_of(job)) < 2 for job in self.jobs)

    def queueing_seconds(self, job: OfferedJob) -> float:
        """From its acceptance, which of a waiting caller is not told: its offer, until the first call."""
        calls = self.calls_of(job)
        return calls[0].arrived_at - job.accepted_at if calls and job.accepted_at is not None else 0.0

    def wake_seconds(self, job: OfferedJob) -> float | None:
        """From the result, or the end of the fault, until the caller who waited was answered."""
        if not job.is_waiting or job.is_lost or job.posted is None:
            return None
        known_at = max(job.completed_at, self.strike.over_at if self.strike else 0.0)
        return max(0.0, job.posted.at - known_at)

    def ran_on_victim(self, job: OfferedJob) -> bool:
        """Whether the victim was on this job when it was hit: it had called, and nothing was stored yet.

        Told by the stored result alone, which is older than the fault if the victim had finished.
        """
        if self.strike is None or self.strike.victim_key is None or job.first_read is None:
            return False
        was_called_there = any(
            call.key_ending == self.strike.victim_key
            and call.arrived_at < self.strike.at + _ON_THE_WAY_SECONDS
            for call in self.calls_of(job)
        )
        return was_called_there and job.completed_at > self.strike.at
