"""An invariant that did not hold."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.chaos.evidence import Evidence
from tests.chaos.offered_job import Answer, OfferedJob
from tests.support.provider_ledger import Call

_MOST_SHOWN = 10
_LONGEST_SHOWN = 400

Check = Callable[[Evidence], Iterable[str]]
"""Says for whom its invariant does not hold."""


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


def story(evidence: Evidence, job: OfferedJob) -> str:
    """Who called when, relative to the first fault."""
    zero = evidence.strikes[0].at if evidence.strikes else 0.0
    calls = ", ".join(
        f"{call.key_ending} at {call.arrived_at - zero:+.3f} s ({_ending(call)})"
        for call in evidence.calls_of(job)
    )
    stored = f"{job.completed_at - zero:+.3f} s" if job.first_read else "never"
    kind = f"{job.on_unknown} on unknown, deadline {job.deadline_seconds}, direct {job.is_direct}"
    return f"called by {calls or 'nobody'}; {job.status} at {stored}; flagged: {job.is_flagged}; {kind}"


def shown(answer: Answer | None) -> str:
    return f"{answer.status} {answer.body.decode()}" if answer else "nobody answered"


def _ending(call: Call) -> str:
    return "cut" if call.was_disconnected else f"{call.status or 'unanswered'}"
