"""What must be true of repeated calls: each is counted and has a reason, and what may cost twice says so."""

from collections.abc import Callable, Iterable

from tests.chaos.evidence import Evidence
from tests.chaos.offered_job import ENDED, OfferedJob, body_of, status_of


def attempts_of(job: OfferedJob) -> int:
    """`performance.attempts` of its result."""
    assert job.first_read
    return int((body_of(job.first_read).get("performance") or {}).get("attempts") or 0)


def calls_that_are_not_counted(evidence: Evidence) -> Iterable[str]:
    """Every call of the provider's ledger stands in the result of its job, and nothing else does.

    A worker that dies between its mark and its call counts one that never was: not after these faults.
    """
    for job in _ended(evidence):
        counted, seen = attempts_of(job), len(evidence.calls_of(job))
        if counted != seen:
            yield f"{job.request_id} says {counted} attempts, the provider saw {seen}"


def unknown_outcomes(evidence: Evidence, job: OfferedJob) -> int:
    """Calls that came to no usable answer, and may have been charged."""
    return sum(call.is_unknown for call in evidence.calls_of(job))


def is_surplus(evidence: Evidence, job: OfferedJob) -> bool:
    """Whether it was called again after a call that may have been charged."""
    return any(call.is_unknown for call in evidence.calls_of(job)[:-1])


def is_repeated_for_cause(evidence: Evidence, job: OfferedJob) -> bool:
    """Whether every call but the last one was refused, or came to nothing, at the provider."""
    return all(call.was_refused or call.is_unknown for call in evidence.calls_of(job)[:-1])


def surplus_that_is_not_flagged(evidence: Evidence) -> Iterable[str]:
    return (
        f"{job.request_id} {_calls(evidence, job)}"
        for job in _ended(evidence)
        if is_surplus(evidence, job) and not job.is_flagged
    )


def flags_without_surplus(evidence: Evidence) -> Iterable[str]:
    return (
        f"{job.request_id} {_calls(evidence, job)}"
        for job in _ended(evidence)
        if job.is_flagged and not is_surplus(evidence, job)
    )


def repeats_without_cause(evidence: Evidence) -> Iterable[str]:
    return (
        f"{job.request_id} {_calls(evidence, job)}"
        for job in evidence.repeated
        if not is_repeated_for_cause(evidence, job)
    )


ATTEMPT_INVARIANTS: dict[str, Callable[[Evidence], Iterable[str]]] = {
    "every call of the provider is counted in its result's attempts": calls_that_are_not_counted,
    "a call after one that may have been charged says possible_duplicate_charge": surplus_that_is_not_flagged,
    "no other result says possible_duplicate_charge": flags_without_surplus,
    "only what the provider refused or left unanswered is called again": repeats_without_cause,
}
"""For faults of the provider alone: no worker died."""


def _ended(evidence: Evidence) -> Iterable[OfferedJob]:
    return (job for job in evidence.jobs if status_of(job.first_read) in ENDED)


def _calls(evidence: Evidence, job: OfferedJob) -> str:
    told = ", ".join(f"{call.status}{call.fault and ' ' + call.fault}" for call in evidence.calls_of(job))
    return f"called: {told}; attempts: {attempts_of(job)}; flagged: {job.is_flagged}"
