"""What the provider was asked."""

from collections.abc import Iterable

from tests.chaos.evidence import Evidence
from tests.chaos.offered_job import OfferedJob
from tests.chaos.strike import Strike
from tests.chaos.violation import story

_LONGEST_QUEUEING_SECONDS = 45.0
"""The default session of a dead worker, and half as much again."""
_ON_THE_WAY_SECONDS = 2.0
_MAY_HAVE_RUN_SECONDS = 6.0
"""So long after an assignment a worker takes its records for older, for clocks differ; one more to log it."""
_RECOVERY_SECONDS = 5.0


def only_cut_calls_are_repeated(evidence: Evidence) -> Iterable[str]:
    for job in evidence.repeated:
        surplus = len(evidence.chargeable_calls_of(job)) - 1
        if surplus > evidence.excuses(job):
            yield f"{job.request_id} {story(evidence, job)}"


def no_more_calls_than_jobs_and_cuts(evidence: Evidence) -> Iterable[str]:
    """The sum of the rule above, which also counts calls that belong to no job."""
    calls = sum(not call.was_refused for call in evidence.calls)
    allowed = evidence.offered + sum(map(evidence.excuses, evidence.jobs))
    if calls > allowed:
        yield f"{calls} calls, {evidence.offered} jobs, {allowed - evidence.offered} calls cut by faults"


def fail_on_unknown_is_called_once(evidence: Evidence) -> Iterable[str]:
    return (
        f"{job.request_id} {story(evidence, job)}" for job in evidence.repeated if job.on_unknown == "fail"
    )


def no_call_after_the_deadline(evidence: Evidence) -> Iterable[str]:
    for job in evidence.jobs:
        if job.deadline_seconds is None:
            continue
        deadline = job.created_by + job.deadline_seconds + _ON_THE_WAY_SECONDS
        if any(call.arrived_at > deadline for call in evidence.calls_of(job)):
            yield f"{job.request_id} offered {_since_first_fault(evidence, job)}: {story(evidence, job)}"


def surplus_is_flagged(evidence: Evidence) -> Iterable[str]:
    return (
        f"{job.request_id} {story(evidence, job)}"
        for job in evidence.repeated
        if job.first_read is not None and not job.is_flagged
    )


def nothing_else_is_flagged(evidence: Evidence) -> Iterable[str]:
    return (
        f"{job.request_id} {story(evidence, job)}"
        for job in evidence.jobs
        if job.is_flagged and not _may_be_flagged(evidence, job)
    )


def calls_belong_to_jobs(evidence: Evidence) -> Iterable[str]:
    return (
        f"call {call.number}: {call.message!r}"
        for call in evidence.calls
        if call.message not in evidence.job_of_prompt
    )


def nobody_waits_for_nothing(evidence: Evidence) -> Iterable[str]:
    for job in evidence.accepted:
        waited_seconds = evidence.queueing_seconds(job)
        if waited_seconds > _LONGEST_QUEUEING_SECONDS * max(
            1, _faults_endured(evidence, job, waited_seconds)
        ):
            yield f"{job.request_id} waited {waited_seconds:.1f} s for its first call"


def _may_be_flagged(evidence: Evidence, job: OfferedJob) -> bool:
    """A second call was made, or was due to a run of which nobody knows how far it came."""
    if len(evidence.chargeable_calls_of(job)) > 1 or evidence.was_begun_uncalled(job):
        return True
    was_refused = any(call.was_refused for call in evidence.calls_of(job))
    may_have_lost_its_way = any(
        strike.cuts_calls and (job.accepted_at or 0.0) < strike.over_at for strike in evidence.strikes
    )
    may_have_run_before = any(_is_suspect(evidence, job, strike) for strike in evidence.strikes)
    return (was_refused and evidence.excuses(job) > 0) or may_have_lost_its_way or may_have_run_before


def _is_suspect(evidence: Evidence, job: OfferedJob, strike: Strike) -> bool:
    """Begun while nobody could be asked, from a record that its partition's former worker may have had."""
    if not strike.store_is_away or job.first_read is None or job.completed_at < strike.at:
        return False
    known_by = strike.over_at + _RECOVERY_SECONDS
    assigned_at = max((at for at in evidence.assigned_at if at < known_by), default=0.0)
    return job.offered_at < min(known_by, assigned_at + _MAY_HAVE_RUN_SECONDS)


def _faults_endured(evidence: Evidence, job: OfferedJob, seconds: float) -> int:
    since = job.accepted_at or 0.0
    return sum(since < strike.at < since + seconds for strike in evidence.strikes)


def _since_first_fault(evidence: Evidence, job: OfferedJob) -> str:
    zero = evidence.strikes[0].at if evidence.strikes else 0.0
    return f"at {job.last_offered_at - zero:+.3f} s"
