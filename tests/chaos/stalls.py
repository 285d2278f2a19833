"""How long jobs stood still."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from aiokafka.partitioner import murmur2

from tests.chaos.deployment import PARTITIONS
from tests.chaos.evidence import Evidence
from tests.chaos.offered_job import OfferedJob
from tests.chaos.strike import Departure

_POSITIVE = 0x7FFFFFFF

Start = tuple[float, float]
"""When a call arrived, and since when it could have."""


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
    partition_unserved: float | None
    """After a worker was told to leave: the longest time in which one of its partitions had a queued job and
    no first call."""


def measure_stalls(evidence: Evidence) -> Stalls:
    repeats = [
        call.arrived_at - strike.at
        for job in evidence.repeated
        for call in evidence.chargeable_calls_of(job)[1:]
        if (strike := evidence.strike_before(call.arrived_at))
    ]
    departures = [departure for strike in evidence.strikes for departure in strike.departures]
    return Stalls(
        longest=_longest_gap(_all_starts(evidence)),
        first_repeat=min(repeats, default=None),
        last_repeat=max(repeats, default=None),
        longest_queueing=max(map(evidence.queueing_seconds, evidence.accepted), default=0.0),
        longest_wake=max((evidence.wake_seconds(job) or 0.0 for job in evidence.accepted), default=0.0),
        partition_unserved=max((_unserved(evidence, departure) for departure in departures), default=None),
    )


def partition_of(job: OfferedJob) -> int:
    """Where every Kafka client puts a record with this key."""
    return int((murmur2(job.request_id.encode()) & _POSITIVE) % PARTITIONS)


def _unserved(evidence: Evidence, departure: Departure) -> float:
    """Its partitions are those that it called for since another left; the next fault ends the time."""
    until = min((s.at for s in evidence.strikes if s.at > departure.at), default=float("inf"))
    partitions: dict[int, list[Start]] = defaultdict(list)
    served: set[int] = set()
    since = max((d.at for s in evidence.strikes for d in s.departures if d.at < departure.at), default=0.0)
    for job in evidence.accepted:
        for call in (call for call in evidence.calls_of(job)[:1] if call.arrived_at < until):
            partition = partition_of(job)
            partitions[partition].append((call.arrived_at, job.accepted_at or call.arrived_at))
            if call.key_ending == departure.key_ending and since < call.arrived_at < departure.at:
                served.add(partition)
    return max((_longest_gap(partitions[number], departure.at) for number in served), default=0.0)


def _all_starts(evidence: Evidence) -> Iterable[Start]:
    return (
        (call.arrived_at, _ready_at(evidence, call.message, number))
        for calls in evidence.calls_of_prompt.values()
        for number, call in enumerate(calls)
    )


def _longest_gap(starts: Iterable[Start], since: float | None = None) -> float:
    """Between neighbouring calls, counted from when the first of the jobs called later became ready."""
    begin = [] if since is None else [(since, since)]
    arrivals = begin + sorted(start for start in starts if since is None or start[0] > since)
    longest = 0.0
    earliest_ready = float("inf")
    for (before, _), (arrived_at, ready_at) in reversed(list(pairwise(arrivals))):
        earliest_ready = min(earliest_ready, ready_at)
        longest = max(longest, arrived_at - max(before, earliest_ready))
    return longest


def _ready_at(evidence: Evidence, prompt: str, number: int) -> float:
    """A first call could go out when the job was accepted, a repetition when the fault struck, and one after
    a refusal when the provider allows it."""
    calls = evidence.calls_of_prompt[prompt]
    if number > 0 and calls[number - 1].was_refused:
        return calls[number].arrived_at
    if number > 0 and (strike := evidence.strike_before(calls[number].arrived_at)):
        return strike.at
    job = evidence.job_of_prompt.get(prompt)
    return job.accepted_at if job and job.accepted_at is not None else float("inf")
