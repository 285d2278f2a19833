"""A campaign, judged: the cells of its table row, and the figures beside it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.chaos.evidence import Evidence
from tests.chaos.invariants import violations
from tests.chaos.judging_answers import changed, lost
from tests.chaos.stalls import Stalls, measure_stalls
from tests.chaos.strike import Strike
from tests.chaos.violation import Violation

COLUMNS = (
    "fault",
    "offered",
    "accepted",
    "answered",
    "lost",
    "changed",
    "surplus calls",
    "surplus flagged",
    "longest stall s",
)
_MOST_COMPLAINTS = 6


@dataclass(frozen=True)
class Outcome:
    evidence: Evidence
    stalls: Stalls
    violations: Sequence[Violation]

    @property
    def cells(self) -> tuple[str, ...]:
        """One a column."""
        evidence = self.evidence
        counts = (
            evidence.offered,
            len(evidence.accepted),
            evidence.answered,
            len(lost(evidence)),
            len(changed(evidence)),
            evidence.surplus_calls,
            sum(job.is_flagged for job in evidence.repeated),
        )
        return (evidence.fault, *map(str, counts), f"{self.stalls.longest:.1f}")

    @property
    def remarks(self) -> str:
        """The figures beside the table, for people."""
        return f"{self.evidence.fault}: {'; '.join(self._remarks())}"

    def as_json(self) -> dict[str, Any]:
        """Everything, for machines."""
        evidence = self.evidence
        names = (column.replace(" ", "_") for column in COLUMNS)
        return {
            **dict(zip(names, self.cells, strict=True)),
            "seconds": round(evidence.seconds, 1),
            "seed": evidence.seed,
            "faults": [_as_json(strike, evidence) for strike in evidence.strikes],
            "ended": dict(_endings(evidence)),
            "rss_mib": {name: [round(mib) for mib in rss] for name, rss in evidence.rss_mib.items()},
            "flagged_uncalled": evidence.flagged_uncalled,
            "stalls": {name: value and round(value, 3) for name, value in asdict(self.stalls).items()},
            "logged": dict(evidence.complaints),
            "violations": {violation.invariant: violation.details for violation in self.violations},
        }

    def _remarks(self) -> Iterator[str]:
        evidence, stalls = self.evidence, self.stalls
        yield from _struck(evidence)
        if stalls.partition_unserved is not None:
            yield f"a leaving worker's partition unserved for at most {stalls.partition_unserved:.2f} s"
        if stalls.first_repeat is not None:
            yield f"called again {stalls.first_repeat:.1f}-{stalls.last_repeat:.1f} s after the fault"
        yield f"longest wait for a first call {stalls.longest_queueing:.1f} s"
        waited = [job.posted.status for job in evidence.accepted if job.is_waiting and job.posted]
        yield f"{len(waited)} callers waited, {waited.count(202)} were told 202"
        yield f"told at most {stalls.longest_wake:.2f} s after the result"
        if refused := sum(len(job.refusals) for job in evidence.jobs):
            yield f"posts refused {refused}"
        if evidence.flagged_uncalled:
            yield f"flagged without a second call {evidence.flagged_uncalled}"
        yield "ended: " + ", ".join(f"{count} {status}" for status, count in _endings(evidence).items())
        if evidence.rss_mib:
            yield f"largest process {max(max(rss) for rss in evidence.rss_mib.values()):.0f} MiB"
        if evidence.complaints:
            most = evidence.complaints.most_common(_MOST_COMPLAINTS)
            yield "logged: " + ", ".join(f"{count} x {complaint}" for complaint, count in most)
        yield f"took {evidence.seconds:.0f} s"


def _struck(evidence: Evidence) -> Iterator[str]:
    if len(evidence.strikes) > 1:
        yield f"seed {evidence.seed}, {len(evidence.strikes)} faults"
    for strike in evidence.strikes:
        there = strike.victim_in_flight
        yield f"{strike.name}: in flight {strike.in_flight}" + (f" ({there} there)" if there else "")


def _endings(evidence: Evidence) -> Counter[str]:
    return Counter(job.status or "not ended" for job in evidence.accepted)


def _as_json(strike: Strike, evidence: Evidence) -> dict[str, Any]:
    return {
        "name": strike.name,
        "in_flight": strike.in_flight,
        "victim_in_flight": strike.victim_in_flight,
        "seconds_after_the_first": round(strike.at - evidence.strikes[0].at, 3),
        "begun_uncalled": len(strike.begun_uncalled),
    }


def judge(evidence: Evidence) -> Outcome:
    return Outcome(evidence, measure_stalls(evidence), violations(evidence))
