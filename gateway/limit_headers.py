"""`RateLimit-Policy` and `RateLimit` as draft-ietf-httpapi-ratelimit-headers writes them.

Dollars are counted in millionths, because quotas are whole numbers.
"""

import math

from gateway.service import Accepted, Answered
from shared.domain.job import Job
from shared.domain.limits import DAY_SECONDS, MINUTE_SECONDS, NANO, Limits, Standing
from shared.limits import Admission, JobLimits

_MICRO = NANO // 1_000_000


def limit_headers_of(job: Job, outcome: Answered | Accepted, limits: JobLimits | None) -> dict[str, str]:
    """What the limits of the job's owner said to it; nothing if it has none."""
    policy = limits.of(job.id.owner) if limits is not None else None
    if policy is None:
        return {}
    return limit_headers(outcome.admission or Admission(policy))


def limit_headers(admission: Admission) -> dict[str, str]:
    """The policies of an owner and, where they were asked, what each leaves."""
    headers = {"RateLimit-Policy": ", ".join(_policies(admission.limits))}
    if admission.standing is not None:
        headers["RateLimit"] = ", ".join(_left(admission.limits, admission.standing))
    return headers


def _policies(limits: Limits) -> list[str]:
    minute = f"w={MINUTE_SECONDS:.0f}"
    rows = (
        (limits.requests_per_minute, f'"requests";q={limits.requests_per_minute};{minute}'),
        (limits.tokens_per_minute, f'"tokens";q={limits.tokens_per_minute};qu="tokens";{minute}'),
        (limits.jobs_in_flight, f'"jobs";q={limits.jobs_in_flight};qu="concurrent-requests"'),
        (
            limits.nano_dollars_per_day,
            f'"dollars";q={limits.nano_dollars_per_day // _MICRO};qu="micro-dollars";w={DAY_SECONDS}',
        ),
    )
    return [policy for limit, policy in rows if limit]


def _left(limits: Limits, standing: Standing) -> list[str]:
    minute = f"t={math.ceil(standing.request_leaves_seconds)}"
    day = f"t={math.ceil(standing.day_ends_seconds)}"
    dollars = (limits.nano_dollars_per_day - standing.nano_dollars) // _MICRO
    rows = (
        (limits.requests_per_minute, "requests", limits.requests_per_minute - standing.requests, minute),
        (limits.tokens_per_minute, "tokens", limits.tokens_per_minute - standing.tokens, minute),
        (limits.jobs_in_flight, "jobs", limits.jobs_in_flight - standing.in_flight, ""),
        (limits.nano_dollars_per_day, "dollars", dollars, day),
    )
    return [f'"{name}";r={max(0, left)}' + (f";{t}" if t else "") for limit, name, left, t in rows if limit]
