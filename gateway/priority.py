"""`X-Priority`: the lane in which a caller wants its job to wait.

Not RFC 9218's `Priority`, which browsers send of their own accord.
"""

from dataclasses import replace

from fastapi import Request

from shared.domain.errors import ErrorCode, InvalidRequest, job_error
from shared.domain.job import Job
from shared.domain.priority import PRIORITIES, Priority
from shared.domain.validation import short_echo

PRIORITY_HEADER = "X-Priority"


def heed_priority(request: Request, job: Job) -> Job:
    """The job in the lane that its caller named; `InvalidRequest` for one that there is not."""
    told = request.headers.getlist(PRIORITY_HEADER)
    return replace(job, priority=_priority(told)) if told else job


def _priority(told: list[str]) -> Priority:
    for priority in PRIORITIES:
        if all(value == priority for value in told):
            return priority
    value = short_echo(", ".join(told))
    raise InvalidRequest(
        job_error(
            ErrorCode.INVALID_FIELD,
            f"{PRIORITY_HEADER}: {value!r} is no priority; allowed: {', '.join(PRIORITIES)}",
            field=PRIORITY_HEADER,
            details={"value": value, "allowed": list(PRIORITIES)},
        )
    )
