"""Whether the service is well, in one word, and why not, in a few lines."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gateway.service_faults import SERVICE_FAULTS
from shared.domain.queue_load import QueueLoad
from shared.domain.replica import Replica

State = Literal["well", "degraded", "failing"]
Sign = tuple[State, str]

_LONG_WAIT_SECONDS = 10.0
_FEWEST_FAULTS = 3
_DEGRADED_SHARE, _FAILING_SHARE = 0.05, 0.5
_WORST = ("failing", "degraded", "well")


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a verdict is made of."""

    is_distributed: bool
    is_queue_available: bool
    is_store_available: bool
    load: QueueLoad | None
    max_wait_seconds: float
    """From when on new jobs are refused; 0: never."""
    succeeded: int
    errors: Mapping[str, int]
    """Of the last minute, as `succeeded`."""
    replicas: Sequence[Replica]


def verdict(evidence: Evidence) -> dict[str, Any]:
    """The worst sign gives the state; all of them are the reasons, the worst first."""
    signs = sorted(_signs(evidence), key=lambda sign: _WORST.index(sign[0]))
    return {"state": signs[0][0] if signs else "well", "reasons": [reason for _, reason in signs]}


def _signs(evidence: Evidence) -> Iterator[Sign]:
    yield from _of_dependencies(evidence)
    yield from _of_queue(evidence)
    yield from _of_faults(evidence)
    yield from _of_replicas(evidence.replicas)


def _of_dependencies(evidence: Evidence) -> Iterator[Sign]:
    if not evidence.is_queue_available:
        away = "Kafka does not answer" if evidence.is_distributed else "The queue in memory is full"
        yield "failing", f"{away}: no new job is accepted"
    if not evidence.is_store_available:
        yield "degraded", "Redis does not answer: each process knows only the ids it has seen"


def _of_queue(evidence: Evidence) -> Iterator[Sign]:
    load, most = evidence.load, evidence.max_wait_seconds
    if load is None:
        if evidence.is_distributed and evidence.is_store_available:
            yield "failing", "No worker reports: accepted jobs wait"
        return
    seconds = load.expected_wait_seconds or 0.0
    if 0 < most < seconds:
        yield "failing", f"A new job would wait {seconds:.0f} s for its turn: new jobs are refused"
    elif seconds >= _LONG_WAIT_SECONDS:
        yield "degraded", f"A new job waits {seconds:.0f} s for its turn"


def _of_faults(evidence: Evidence) -> Iterator[Sign]:
    faults = Counter({code: count for code, count in evidence.errors.items() if code in SERVICE_FAULTS})
    failed, all_jobs = faults.total(), faults.total() + evidence.succeeded
    share = failed / all_jobs if all_jobs else 0.0
    if failed < _FEWEST_FAULTS or share < _DEGRADED_SHARE:
        return
    [(code, _)] = faults.most_common(1)
    told = f"{failed} of {all_jobs} jobs failed in the last minute ({share:.0%}), most with {code}"
    yield ("failing" if share >= _FAILING_SHARE else "degraded"), told


def _of_replicas(replicas: Sequence[Replica]) -> Iterator[Sign]:
    for state, told in (("silent", "silent"), ("no kafka", "cut off from Kafka")):
        kinds = Counter(replica.report.kind for replica in replicas if replica.state == state)
        for kind, count in sorted(kinds.items()):
            yield "degraded", f"{count} {kind}{'s are' if count > 1 else ' is'} {told}"
