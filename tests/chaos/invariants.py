"""What must be true after any fault. Each function returns the jobs for which it is not."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.chaos.evidence import Evidence
from tests.chaos.offered_job import (
    Answer,
    OfferedJob,
    as_first_answered,
    body_of,
    status_of,
    unchanging_bytes,
)
from tests.support.provider_ledger import Call

_WAKE_SECONDS = 5.0
_LONGEST_QUEUEING_SECONDS = 45.0
"""The default session of a dead worker, and half as much again."""
_MOST_SHOWN = 10
_LONGEST_SHOWN = 400


@dataclass(frozen=True)
class Violation:
    """An invariant that did not hold, and for whom."""

    invariant: str
    details: tuple[str, ...]

    def __str__(self) -> str:
        shown = (detail[:_LONGEST_SHOWN] for detail in self.details[:_MOST_SHOWN])
        lines = [f"VIOLATED: {self.invariant}: {len(self.details)}", *shown]
        if len(self.details) > _MOST_SHOWN:
            lines.append("the rest stands in results.json")
        return "\n    ".join(lines)


def violations(evidence: Evidence) -> list[Violation]:
    """Every invariant that does not hold."""
    found = ((name, tuple(check(evidence))) for name, check in INVARIANTS.items())
    return [Violation(name, details) for name, details in found if details]


def _fault_struck(evidence: Evidence) -> Iterable[str]:
    strike = evidence.strike
    if strike is None:
        yield f"the provider never had {evidence.least_in_flight} calls in flight"
    elif strike.in_flight < evidence.least_in_flight or strike.victim_in_flight == 0:
        yield f"in flight at the fault: {strike.in_flight}, of the victim {strike.victim_in_flight}"


def _every_offer_accepted(evidence: Evidence) -> Iterable[str]:
    return (f"{job.request_id} {job.refusals}" for job in evidence.jobs if job.accepted_at is None)


def lost(evidence: Evidence) -> list[str]:
    """Jobs that were accepted and have no success."""
    return [
        f"{job.request_id} called {len(evidence.calls_of(job))} times, last seen: "
        f"{_shown(job.first_read) if job.first_read else 'not ended'}"
        for job in evidence.accepted
        if job.is_lost
    ]


def _own_answer(evidence: Evidence) -> Iterable[str]:
    for job in _succeeded(evidence):
        assert job.first_read
        body = body_of(job.first_read)
        expected = (True, job.request_id, f"echo: {job.prompt}")
        if (body["success"], body["request_id"], body["data"]["response"]) != expected:
            yield f"{job.request_id} answered {body['data']['response']!r}"


def changed(evidence: Evidence) -> list[str]:
    """Results that were read twice and were not the same."""
    return [
        f"{job.request_id} first {_shown(job.first_read)} then {_shown(job.second_read)}"
        for job in evidence.jobs
        if job.first_read
        and (job.second_read is None or unchanging_bytes(job.first_read) != unchanging_bytes(job.second_read))
    ]


def _waiters_got_the_stored_answer(evidence: Evidence) -> Iterable[str]:
    for job in _succeeded(evidence):
        if not job.is_waiting or job.posted is None or job.first_read is None:
            continue
        is_answered = job.posted.status == 200
        if is_answered and as_first_answered(job.posted) != as_first_answered(job.first_read):
            yield f"{job.request_id} waited for {_shown(job.posted)}, stored is {_shown(job.first_read)}"


def _waiters_are_woken(evidence: Evidence) -> Iterable[str]:
    for job in evidence.accepted:
        late_seconds = evidence.wake_seconds(job)
        if late_seconds is not None and late_seconds > _WAKE_SECONDS:
            assert job.posted
            yield f"{job.request_id} was told {job.posted.status} {late_seconds:.1f} s after its result"


def _only_orphans_are_called_again(evidence: Evidence) -> Iterable[str]:
    for job in evidence.repeated:
        is_orphan = evidence.ran_on_victim(job) or _was_begun_uncalled(evidence, job)
        if not is_orphan or len(evidence.calls_of(job)) > 2:
            yield f"{job.request_id} {_story(evidence, job)}"


def _surplus_is_flagged(evidence: Evidence) -> Iterable[str]:
    return (
        f"{job.request_id} {_story(evidence, job)}"
        for job in evidence.repeated
        if not job.is_lost and not job.is_flagged
    )


def _nothing_else_is_flagged(evidence: Evidence) -> Iterable[str]:
    return (
        f"{job.request_id} {_story(evidence, job)}"
        for job in evidence.jobs
        if job.is_flagged and len(evidence.calls_of(job)) < 2 and not _was_begun_uncalled(evidence, job)
    )


def _calls_belong_to_jobs(evidence: Evidence) -> Iterable[str]:
    return (
        f"call {call.number}: {call.message!r}"
        for call in evidence.calls
        if call.message not in evidence.job_of_prompt
    )


def _nobody_waits_for_nothing(evidence: Evidence) -> Iterable[str]:
    for job in evidence.accepted:
        waited_seconds = evidence.queueing_seconds(job)
        if waited_seconds > _LONGEST_QUEUEING_SECONDS:
            yield f"{job.request_id} waited {waited_seconds:.1f} s for its first call"


def _everything_committed(evidence: Evidence) -> Iterable[str]:
    if evidence.uncommitted_records:
        yield f"{evidence.uncommitted_records} records"


def _victim_left_in_peace(evidence: Evidence) -> Iterable[str]:
    if evidence.strike and evidence.strike.exit_code:
        yield f"exit code {evidence.strike.exit_code}"


def _no_fault_of_ours(evidence: Evidence) -> Iterable[str]:
    return (
        f"{count} x {complaint}"
        for complaint, count in evidence.complaints.items()
        if not complaint.startswith("WARNING") and complaint != evidence.expected_complaint
    )


INVARIANTS: dict[str, Callable[[Evidence], Iterable[str]]] = {
    "the fault struck while enough calls were in flight": _fault_struck,
    "every offered job was accepted": _every_offer_accepted,
    "every accepted job has a succeeded result (0 lost)": lost,
    "the stored answer is the job's own": _own_answer,
    "a stored answer never changes (0 changed)": changed,
    "who waited got the stored answer": _waiters_got_the_stored_answer,
    "who waits is told within 5 s of the result": _waiters_are_woken,
    "only jobs that ran on the victim are called again, once": _only_orphans_are_called_again,
    "a job called twice says possible_duplicate_charge": _surplus_is_flagged,
    "no other job says possible_duplicate_charge": _nothing_else_is_flagged,
    "the provider was asked about nothing else": _calls_belong_to_jobs,
    "no job waits more than 45 s for its first call": _nobody_waits_for_nothing,
    "at the end every record is committed": _everything_committed,
    "a worker that is told to leave exits with 0": _victim_left_in_peace,
    "no process logged an error": _no_fault_of_ours,
}


def _succeeded(evidence: Evidence) -> Iterable[OfferedJob]:
    return (job for job in evidence.jobs if status_of(job.first_read) == "succeeded")


def _was_begun_uncalled(evidence: Evidence, job: OfferedJob) -> bool:
    return evidence.strike is not None and job.request_id in evidence.strike.begun_uncalled


def _story(evidence: Evidence, job: OfferedJob) -> str:
    """Who called when, relative to the fault."""
    zero = evidence.strike.at if evidence.strike else 0.0
    calls = ", ".join(
        f"{call.key_ending} at {call.arrived_at - zero:+.3f} s ({_ending(call)})"
        for call in evidence.calls_of(job)
    )
    stored = f"{job.completed_at - zero:+.3f} s" if job.first_read else "never"
    return f"called by {calls}; stored at {stored}; flagged: {job.is_flagged}"


def _shown(answer: Answer | None) -> str:
    return f"{answer.status} {answer.body.decode()}" if answer else "nobody answered"


def _ending(call: Call) -> str:
    return "cut" if call.was_disconnected else f"{call.status or 'unanswered'}"
