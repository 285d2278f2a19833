"""How long jobs stood still."""

from dataclasses import dataclass
from itertools import pairwise

from tests.chaos.evidence import Evidence


@dataclass(frozen=True)
class Stalls:
    """Seconds."""

    longest: float
    """The longest time in which no call reached the provider although a job was ready for one."""
    first_repeat: float | None
    """From the fault until the first orphaned job was called again."""
    last_repeat: float | None
    longest_queueing: float
    """The longest a job waited for its first call."""
    longest_wake: float
    """From a result, or the end of the fault, until the caller who waited had it."""


def measure_stalls(evidence: Evidence) -> Stalls:
    repeats = [
        call.arrived_at - evidence.strike.at
        for job in evidence.repeated
        for call in evidence.calls_of(job)[1:]
        if evidence.strike
    ]
    return Stalls(
        longest=_longest_gap(evidence),
        first_repeat=min(repeats, default=None),
        last_repeat=max(repeats, default=None),
        longest_queueing=max(map(evidence.queueing_seconds, evidence.accepted), default=0.0),
        longest_wake=max((evidence.wake_seconds(job) or 0.0 for job in evidence.accepted), default=0.0),
    )


def _longest_gap(evidence: Evidence) -> float:
    """Between neighbouring calls, counted from when the first of the jobs called later became ready."""
    arrivals = sorted(
        (call.arrived_at, _ready_at(evidence, call.message, number))
        for calls in evidence.calls_of_prompt.values()
        for number, call in enumerate(calls)
    )
    longest = 0.0
    earliest_ready = float("inf")
    for (before, _), (arrived_at, ready_at) in reversed(list(pairwise(arrivals))):
        earliest_ready = min(earliest_ready, ready_at)
        longest = max(longest, arrived_at - max(before, earliest_ready))
    return longest


def _ready_at(evidence: Evidence, prompt: str, number: int) -> float:
    """A first call could go out when the job was accepted, a repetition when the fault struck."""
    if number > 0 and evidence.strike:
        return evidence.strike.at
    job = evidence.job_of_prompt.get(prompt)
    return job.accepted_at if job and job.accepted_at is not None else float("inf")
