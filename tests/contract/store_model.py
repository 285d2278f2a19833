"""What the ports promise of a result store, as a few operations on a dict: stores are compared with it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.domain.job import JobId
from shared.domain.result import Failed, Succeeded, may_run_again
from shared.domain.totals import PROVIDER_CALLS, tally
from shared.ports import Begun, Conflicting, Deleted, Finished, Held, Pending, Renewed, Reserved, Run

FENCE = object()
"""Holds a job whose failed run has had its say."""


@dataclass
class Known:
    """One id. Instants without a time zone are seconds of the model."""

    question: str
    claim: str | None
    told_expiry: datetime
    ends: float
    """When the id is forgotten."""
    is_running: bool = False
    holder: object = None
    lease_ends: float = 0.0
    interrupted_runs: int = 0
    calls: int = 0
    is_cancelled: bool = False
    outcome: Succeeded | Failed | Deleted | None = None
    before: "Known | None" = None
    """The failure that the claim replaced, until a run begins."""

    @property
    def answer(self) -> Pending | Finished | Deleted:
        match self.outcome:
            case None:
                status: Literal["queued", "running"] = "running" if self.is_running else "queued"
                return Pending(status, self.told_expiry)
            case Deleted():
                return Deleted()
            case result:
                return Finished(result)

    @property
    def may_pass(self) -> bool:
        return isinstance(self.outcome, Failed) and may_run_again(self.outcome)

    def ended_before(self, asked_at: datetime | None) -> bool:
        """As a failure that may pass."""
        return (
            isinstance(self.outcome, Failed)
            and self.may_pass
            and asked_at is not None
            and self.outcome.completed_at < asked_at
        )


class StoreModel:
    """`now` passes when told to."""

    def __init__(self, retention_seconds: float) -> None:
        self.now = 0.0
        self.totals: Counter[str] = Counter()
        self._retention_seconds = retention_seconds
        self._jobs: dict[JobId, Known] = {}
        self._gone_until: dict[JobId, float] = {}

    def known(self, job_id: JobId) -> Known | None:
        known = self._jobs.get(job_id)
        return known if known and known.ends > self.now else None

    def get(self, job_id: JobId) -> Pending | Finished | Deleted | None:
        known = self.known(job_id)
        return known.answer if known else self._gone(job_id)

    def _gone(self, job_id: JobId) -> Deleted | None:
        """There was a result, and its retention has passed."""
        return Deleted() if self._gone_until.get(job_id, 0.0) > self.now else None

    def reserve(
        self, job_id: JobId, question: str, claim: str, told_expiry: datetime, pending_seconds: float
    ) -> Reserved | Pending | Finished | Conflicting | Deleted:
        known = self.known(job_id)
        anew = Known(question, claim, told_expiry, self.now + pending_seconds)
        if known is None:
            self._jobs[job_id] = anew
            return Reserved()
        if known.question != question:
            return Conflicting()
        if known.may_pass:
            anew.calls, anew.holder, anew.before = known.calls, FENCE, known
            self._jobs[job_id] = anew
            return Reserved()
        is_mine = known.claim == claim and known.answer == Pending("queued", known.told_expiry)
        return Reserved() if is_mine else known.answer

    def release(self, job_id: JobId, claim: str) -> None:
        known = self.known(job_id)
        if known and known.outcome is None and not known.is_running and known.claim == claim:
            del self._jobs[job_id]
            if known.before:
                self._jobs[job_id] = known.before

    def cancel(self, job_id: JobId) -> Pending | Finished | Deleted | None:
        known = self.known(job_id)
        if known and known.outcome is None:
            known.is_cancelled = True
        return self.get(job_id)

    def delete(self, job_id: JobId) -> Pending | Deleted | None:
        known = self.known(job_id)
        if known is None:
            return self._gone(job_id)
        if isinstance(known.outcome, Succeeded | Failed):
            known.outcome, known.ends = Deleted(), self.now + self._retention_seconds
        answer = known.answer
        assert not isinstance(answer, Finished)
        return answer

    def begin(
        self,
        run: Run,
        lease_seconds: float,
        told_expiry: datetime,
        pending_seconds: float,
        asked_at: datetime | None = None,
    ) -> Begun | Held | Finished | Conflicting | Deleted:
        ends = self.now + pending_seconds
        known = self.known(run.id)
        if known is None:
            known = self._jobs[run.id] = Known(run.fingerprint, None, told_expiry, ends)
        if known.question != run.fingerprint:
            return Conflicting()
        if known.ended_before(asked_at):
            known = Known(run.fingerprint, None, told_expiry, ends, holder=FENCE, calls=known.calls)
            self._jobs[run.id] = known
        answer = known.answer
        if not isinstance(answer, Pending):
            return answer
        if known.holder != run.token:
            if known.lease_ends > self.now:
                return Held(known.lease_ends - self.now)
            known.interrupted_runs += known.is_running
            known.before = None
            known.is_running, known.holder, known.told_expiry, known.ends = True, run.token, told_expiry, ends
        known.lease_ends = self.now + lease_seconds
        return Begun(run, known.interrupted_runs, known.calls, known.is_cancelled)

    def renew(self, runs: Sequence[Run], lease_seconds: float) -> Renewed:
        lost, cancelled = [], []
        for run in runs:
            known = self.known(run.id)
            if known is None or known.holder is None or isinstance(known.outcome, Deleted):
                continue
            if known.holder != run.token:
                lost.append(run)
                continue
            known.lease_ends = self.now + lease_seconds
            if known.is_cancelled and known.outcome is None:
                cancelled.append(run)
        return Renewed(lost, cancelled)

    def save(self, run: Run, result: Succeeded | Failed) -> Succeeded | Failed | None:
        return self._store(run, result, self._retention_seconds, is_final_copy=False)

    def restore(self, run: Run, result: Succeeded | Failed, age_seconds: float) -> Succeeded | Failed | None:
        kept_seconds = self._retention_seconds - age_seconds
        if kept_seconds <= 0:
            return None
        return self._store(run, result, kept_seconds, is_final_copy=not may_run_again(result))

    def _store(
        self, run: Run, result: Succeeded | Failed, kept_seconds: float, *, is_final_copy: bool
    ) -> Succeeded | Failed | None:
        known = self.known(run.id) or Known(run.fingerprint, None, result.completed_at, 0.0)
        if known.question != run.fingerprint or isinstance(known.outcome, Deleted):
            return None
        if known.outcome is not None and not (known.may_pass and is_final_copy):
            return known.outcome
        if not is_final_copy and known.holder not in (None, run.token):
            return None
        self.totals.update(tally(result))
        self.totals[PROVIDER_CALLS] += max(0, result.attempts - known.calls)
        known.outcome, known.holder, known.calls = result, run.token, result.attempts
        known.ends = self.now + kept_seconds
        self._gone_until[run.id] = known.ends + self._retention_seconds
        self._jobs[run.id] = known
        return result
