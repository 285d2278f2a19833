"""The judge is judged: each invariant finds what it is there for, and nothing else does."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from tests.chaos.evidence import Evidence, Strike
from tests.chaos.invariants import INVARIANTS, violations
from tests.chaos.offered_job import Answer, OfferedJob
from tests.chaos.stalls import measure_stalls
from tests.support.provider_ledger import Call

_STRUCK_AT = 1000.0


@dataclass
class Story:
    """One waiting caller's job, called at 998 s and stored at 999 s; told otherwise by each case."""

    body: dict[str, Any] = field(default_factory=dict)
    calls: list[tuple[str, float]] = field(default_factory=lambda: [("w002", 998.0)])
    stored_at: float = 999.0
    told_at: float = 999.1
    told: dict[str, Any] = field(default_factory=dict)
    later: dict[str, Any] = field(default_factory=dict)
    strike: Strike | None = field(
        default_factory=lambda: Strike(_STRUCK_AT, in_flight=250, victim_in_flight=100, victim_key="w002")
    )
    is_accepted: bool = True
    uncommitted_records: int = 0
    complaints: list[str] = field(default_factory=list)
    job: OfferedJob = field(default_factory=lambda: OfferedJob("a prompt", is_waiting=True, offered_at=997))

    def evidence(self) -> Evidence:
        if self.is_accepted:
            self.job.accepted_at = self.job.offered_at
            self.job.posted = self._answer(self.told_at, **self.body, **self.told)
            self.job.first_read = self._answer(1001, **self.body)
            self.job.second_read = self._answer(1002, **self.body, **self.later)
        calls = [
            Call(number, prompt, key, {}, arrived_at=at, status=200)
            for number, (key, at) in enumerate(self.calls)
            for prompt in [self.job.prompt if key else "nobody's prompt"]
        ]
        return Evidence(
            fault="a fault",
            least_in_flight=200,
            expected_complaint="ERROR expected",
            jobs=[self.job],
            calls=calls,
            strike=self.strike,
            uncommitted_records=self.uncommitted_records,
            complaints=Counter(self.complaints),
            seconds=1,
        )

    def _answer(self, at: float, **told: Any) -> Answer:
        body = {
            "success": True,
            "request_id": self.job.request_id,
            "status": "succeeded",
            "data": {"response": f"echo: {self.job.prompt}"},
            "performance": {"request_latency_ms": at, "cache_hit": at > 1000},
            "cached": at > 1000,
            "possible_duplicate_charge": False,
            "timestamp": datetime.fromtimestamp(self.stored_at, UTC).isoformat(),
        }
        return Answer(200, orjson.dumps(body | told), at)


def _struck(**changes: Any) -> Callable[[], Story]:
    def story() -> Story:
        told = Story()
        assert told.strike
        told.strike = replace(told.strike, **changes)
        return told

    return story


_AGAIN = [("w002", 998.0), ("w001", 1010.0)]
_FLAGGED = {"possible_duplicate_charge": True}
_ORPHANED: dict[str, Any] = {"calls": _AGAIN, "stored_at": 1011.0, "told_at": 1011.1}

_HELD: dict[str, Callable[[], Story]] = {
    "nothing happened": Story,
    "the victim's own job was called again and says so": lambda: Story(body=_FLAGGED, **_ORPHANED),
    "an expected error was logged": lambda: Story(complaints=["ERROR expected", "WARNING any"]),
}

_BROKEN: dict[str, tuple[str, Callable[[], Story]]] = {
    "too little in flight": ("the fault struck while", _struck(in_flight=199)),
    "the fault never struck": ("the fault struck while", lambda: Story(strike=None)),
    "refused": ("every offered job was accepted", lambda: Story(is_accepted=False)),
    "failed": ("every accepted job has", lambda: Story(body={"status": "failed"})),
    "answered with another's answer": ("the job's own", lambda: Story(body={"data": {"response": "no"}})),
    "read differently the second time": ("never changes", lambda: Story(later={"timestamp": "later"})),
    "waited for something else": ("who waited got", lambda: Story(told={"timestamp": "other"})),
    "told late": ("who waits is told", lambda: Story(told_at=999 + 5.1)),
    "called again although it had ended": (
        "only jobs that ran on the victim",
        lambda: Story(calls=_AGAIN, body=_FLAGGED),
    ),
    "called three times": (
        "only jobs that ran on the victim",
        lambda: Story(calls=[*_AGAIN, ("w003", 1010.5)], body=_FLAGGED, stored_at=1011, told_at=1011.1),
    ),
    "called again and silent about it": ("a job called twice says", lambda: Story(**_ORPHANED)),
    "flagged for nothing": ("no other job says", lambda: Story(body=_FLAGGED)),
    "called about something else": (
        "asked about nothing else",
        lambda: Story(calls=[("w002", 998.0), ("", 998.5)]),
    ),
    "kept waiting for nothing": (
        "no job waits",
        lambda: Story(calls=[("w002", 997 + 45.1)], stored_at=1043, told_at=1043.1),
    ),
    "left uncommitted": ("every record is committed", lambda: Story(uncommitted_records=1)),
    "ended badly": ("exits with 0", _struck(exit_code=1)),
    "logged an error": ("logged an error", lambda: Story(complaints=["ERROR unexpected"])),
}


@pytest.mark.parametrize("story", _HELD.values(), ids=_HELD.keys())
def test_what_may_happen_is_no_violation(story: Callable[[], Story]) -> None:
    assert violations(story().evidence()) == []


@pytest.mark.parametrize(("invariant", "story"), _BROKEN.values(), ids=_BROKEN.keys())
def test_what_must_not_happen_violates_its_invariant_alone(
    invariant: str, story: Callable[[], Story]
) -> None:
    found = violations(story().evidence())
    assert [invariant in violation.invariant for violation in found] == [True], found


def test_no_invariant_is_left_out() -> None:
    words = {invariant for invariant, _ in _BROKEN.values()}
    assert all(any(word in name for word in words) for name in INVARIANTS)


def test_a_stall_counts_from_the_moment_a_job_was_ready() -> None:
    # Given a job that was ready at 997 s and called at 998 s, and again, after the fault at 1000 s, at 1010 s
    stalls = measure_stalls(Story(body=_FLAGGED, **_ORPHANED).evidence())
    # Then the ten seconds after the fault are the longest stall, and not the two without any work before it
    assert stalls.longest == pytest.approx(10)
    assert stalls.first_repeat == pytest.approx(10)
    assert stalls.longest_queueing == pytest.approx(1)
