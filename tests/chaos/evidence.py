"""What a campaign leaves behind to be judged."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tests.chaos.offered_job import OfferedJob, error_code_of, is_retryable
from tests.chaos.strike import Strike
from tests.support.provider_ledger import Call

__all__ = ["Evidence", "Strike"]

_ON_THE_WAY_SECONDS = 1.0
"""A call that was sent before the fault may reach the provider after it."""
_ROUNDED_SECONDS = 0.05


@dataclass(frozen=True)
class Evidence:
    """Both sides of the same jobs: what callers saw, and what the provider was asked."""

    fault: str
    least_in_flight: int
    expected_complaint: str
    jobs: Sequence[OfferedJob]
    calls: Sequence[Call]
    strikes: Sequence[Strike]
    uncommitted_records: int
    complaints: Counter[str]
    seconds: float
    rss_mib: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Of every process, in equal intervals while the load ran."""
    totals: Mapping[str, int] = field(default_factory=dict)
    """What the campaign added to the sums of `/stats`."""
    assigned_at: Sequence[float] = ()
    """When workers were given partitions."""
    seed: int = 0

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

    def chargeable_calls_of(self, job: OfferedJob) -> list[Call]:
        """Those that the provider did not refuse: a refused one costs nothing and is tried again."""
        return [call for call in self.calls_of(job) if not call.was_refused]

    @cached_property
    def repeated(self) -> list[OfferedJob]:
        """Jobs that the provider may have charged more than once."""
        return [job for job in self.jobs if len(self.chargeable_calls_of(job)) > 1]

    @property
    def offered(self) -> int:
        return sum(job.offered_at > 0 for job in self.jobs)

    @cached_property
    def accepted(self) -> list[OfferedJob]:
        return [job for job in self.jobs if job.accepted_at is not None]

    @cached_property
    def answered(self) -> int:
        return sum(not self.is_lost(job) for job in self.accepted)

    @cached_property
    def surplus_calls(self) -> int:
        return sum(len(self.chargeable_calls_of(job)) - 1 for job in self.repeated)

    @property
    def flagged_uncalled(self) -> int:
        """Results that admit a second call which never was."""
        return sum(job.is_flagged and len(self.chargeable_calls_of(job)) < 2 for job in self.jobs)

    def is_lost(self, job: OfferedJob) -> bool:
        """Accepted, and neither a success nor an end that its caller asked for is stored."""
        if job.accepted_at is None:
            return False
        is_asked_for = (
            self.has_expired(job)
            or self.has_unknown_outcome(job)
            or self.has_run_out_of_time(job)
            or self.was_told_at_once(job)
        )
        return not (job.status == "succeeded" or is_asked_for)

    def has_expired(self, job: OfferedJob) -> bool:
        """Ended by its own short deadline, and not before it."""
        if job.status != "expired" or job.deadline_seconds is None:
            return False
        return job.completed_at > job.offered_at + job.deadline_seconds - _ROUNDED_SECONDS

    def has_unknown_outcome(self, job: OfferedJob) -> bool:
        """Ended because a fault cut its call, and its caller wanted no second one."""
        is_told = job.status == "failed" and error_code_of(job.first_read) == "UNKNOWN_OUTCOME"
        return is_told and job.on_unknown == "fail" and self.excuses(job) > 0

    def has_run_out_of_time(self, job: OfferedJob) -> bool:
        """Ended with the provider's refusal, because its own short deadline left no room for another try."""
        return job.deadline_seconds is not None and self._was_refused(job)

    def was_told_at_once(self, job: OfferedJob) -> bool:
        """Ended while the provider was left alone, because its caller waited for it."""
        is_away = error_code_of(job.first_read) == "UPSTREAM_UNAVAILABLE"
        return job.is_waiting and is_away and self._was_refused(job)

    def _was_refused(self, job: OfferedJob) -> bool:
        """Its last call was, or it had none after the provider had refused another's."""
        if job.status != "failed" or not is_retryable(job.first_read):
            return False
        if calls := self.calls_of(job):
            return calls[-1].was_refused
        return any(call.was_refused and call.arrived_at < job.completed_at for call in self.calls)

    def queueing_seconds(self, job: OfferedJob) -> float:
        """From its acceptance, which of a waiting caller is not told: its offer, until the first call."""
        calls = self.calls_of(job)
        return calls[0].arrived_at - job.accepted_at if calls and job.accepted_at is not None else 0.0

    def wake_seconds(self, job: OfferedJob) -> float | None:
        """From the result, or the end of the last fault before the answer, until who waited was answered."""
        if not job.is_waiting or job.status != "succeeded" or job.posted is None:
            return None
        told_at = job.posted.at
        over_at = (strike.over_at for strike in self.strikes if strike.at < told_at)
        return max(0.0, told_at - max(job.completed_at, *over_at, 0.0))

    def excuses(self, job: OfferedJob) -> int:
        """How often a fault cut a call for the job, or may have: so often it may be called again."""
        struck = sum(
            self.ran_on_victim(job, strike) or job.request_id in strike.begun_uncalled
            for strike in self.strikes
        )
        return struck + sum(map(self._was_cut_underway, self.calls_of(job)))

    def ran_on_victim(self, job: OfferedJob, strike: Strike) -> bool:
        """Whether the victim was on this job when it was hit: it had called, and nothing was stored yet.

        Told by the stored result alone, which is older than the fault if the victim had finished.
        """
        if strike.victim_key is None or job.first_read is None:
            return False
        was_called_there = any(
            call.key_ending == strike.victim_key and call.arrived_at < strike.at + _ON_THE_WAY_SECONDS
            for call in self.calls_of(job)
        )
        return was_called_there and job.completed_at > strike.at

    def was_begun_uncalled(self, job: OfferedJob) -> bool:
        return any(job.request_id in strike.begun_uncalled for strike in self.strikes)

    def strike_before(self, at: float) -> Strike | None:
        """The last one."""
        return next((strike for strike in reversed(self.strikes) if strike.at < at), None)

    def _was_cut_underway(self, call: Call) -> bool:
        return call.was_broken or any(strike.cuts(call) for strike in self.strikes)
