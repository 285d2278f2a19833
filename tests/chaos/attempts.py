"""Every call of the provider stands in the result of its job."""

from collections.abc import Iterable

from tests.chaos.evidence import Evidence
from tests.chaos.offered_job import ENDED, OfferedJob, body_of, status_of


def attempts_of(job: OfferedJob) -> int:
    """`performance.attempts` of its result."""
    assert job.first_read
    return int((body_of(job.first_read).get("performance") or {}).get("attempts") or 0)


def calls_that_are_not_counted(evidence: Evidence) -> Iterable[str]:
    """A worker that dies between its mark and its call counts one that never was: not after such a fault.

    A call that is cut off at the deadline counts, also if it was still on its way to the provider.
    """
    if any(strike.victim_key or strike.cuts_calls for strike in evidence.strikes):
        return
    for job in evidence.jobs:
        if status_of(job.first_read) in ENDED:
            counted, seen = attempts_of(job), len(evidence.calls_of(job))
            may_be_on_its_way = status_of(job.first_read) in ("expired", "cancelled")
            if counted not in (seen, seen + may_be_on_its_way):
                yield f"{job.request_id} says {counted} attempts, the provider saw {seen}"
