"""The judge is judged: each invariant finds what it is there for, and nothing else does."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from tests.chaos.catalogue import CATALOGUE, draw_schedule
from tests.chaos.evidence import Evidence
from tests.chaos.invariants import INVARIANTS, violations
from tests.chaos.offered_job import Answer, OfferedJob
from tests.chaos.stalls import measure_stalls
from tests.chaos.strike import Departure, Strike
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
    statuses: list[int] = field(default_factory=list)
    """Of the calls, as far as they were not 200."""
    strikes: list[Strike] = field(
        default_factory=lambda: [
            Strike(_STRUCK_AT, in_flight=250, victim_in_flight=100, victim_key="w002", name="a fault")
        ]
    )
    rss_mib: dict[str, list[float]] = field(default_factory=lambda: {"worker-1": [50.0] * 20 + [100.0] * 40})
    miscounted: int = 0
    totals: dict[str, int] = field(default_factory=dict)
    is_accepted: bool = True
    uncommitted_records: int = 0
    complaints: list[str] = field(default_factory=lambda: ["ERROR expected"])
    assigned_at: list[float] = field(default_factory=list)
    job: OfferedJob = field(default_factory=lambda: OfferedJob("a prompt", is_waiting=True, offered_at=997))

    def evidence(self) -> Evidence:
        if self.is_accepted:
            read_at = max(_STRUCK_AT, self.stored_at) + 1
            self.job.accept(self._answer(self.told_at, **self.body, **self.told))
            self.job.first_read = self._answer(read_at, **self.body)
            self.job.second_read = self._answer(read_at + 1, **(self.body | self.later))
        calls = [
            Call(number, prompt, key, {}, arrived_at=at, status=status, ended_at=at + 0.1)
            for number, (key, at) in enumerate(self.calls)
            for prompt in [self.job.prompt if key else "nobody's prompt"]
            for status in [self.statuses[number] if number < len(self.statuses) else 200]
        ]
        return Evidence(
            fault="a fault",
            least_in_flight=200,
            expected_complaint="ERROR expected",
            jobs=[self.job],
            calls=calls,
            strikes=self.strikes,
            uncommitted_records=self.uncommitted_records,
            complaints=Counter(self.complaints),
            assigned_at=self.assigned_at,
            seconds=1,
            rss_mib=self.rss_mib,
            totals=self.totals,
        )

    def _answer(self, at: float, **told: Any) -> Answer:
        body = {
            "success": True,
            "request_id": self.job.request_id,
            "status": "succeeded",
            "data": {"response": f"echo: {self.job.prompt}"},
            "performance": {
                "request_latency_ms": at,
                "cache_hit": at > 1000,
                "attempts": len(self.calls) + self.miscounted,
            },
            "cached": at > 1000,
            "possible_duplicate_charge": False,
            "timestamp": datetime.fromtimestamp(self.stored_at, UTC).isoformat(),
        }
        return Answer(200, orjson.dumps(body | told), at)


def _struck(**changes: Any) -> Callable[[], Story]:
    def story() -> Story:
        told = Story()
        told.strikes = [replace(strike, **changes) for strike in told.strikes]
        return told

    return story


def _peaceful(**changes: Any) -> Story:
    """A fault that kills no worker."""
    return Story(strikes=[Strike(_STRUCK_AT, in_flight=250, name="a fault")], **changes)


def _job(**settings: Any) -> OfferedJob:
    return OfferedJob("a prompt", is_waiting=True, offered_at=997, last_offered_at=997, **settings)


_STORE_AWAY = Strike(996.0, in_flight=250, over_at=1005.0, store_is_away=True, name="a fault")
_AGAIN = [("w002", 998.0), ("w001", 1010.0)]
_FLAGGED = {"possible_duplicate_charge": True}
_ORPHANED: dict[str, Any] = {"calls": _AGAIN, "stored_at": 1011.0, "told_at": 1011.1}
_TWICE_ORPHANED: dict[str, Any] = {
    "calls": [*_AGAIN, ("w003", 1030.0)],
    "stored_at": 1031.0,
    "told_at": 1031.1,
    "strikes": [
        Strike(_STRUCK_AT, 250, 100, "w002", name="a fault"),
        Strike(1010.5, 250, 100, "w001", name="another fault"),
    ],
}
_EXPIRED = {"success": False, "status": "expired", "data": None, "error": {"error_code": "DEADLINE_EXCEEDED"}}
_REFUSED = {
    "success": False,
    "status": "failed",
    "data": None,
    "error": {"error_code": "RATE_LIMIT_EXCEEDED", "retryable": True},
}
_UNKNOWN = {"success": False, "status": "failed", "data": None, "error": {"error_code": "UNKNOWN_OUTCOME"}}


def _late(body: dict[str, Any], **settings: Any) -> Story:
    """Ended after the fault without a second call."""
    return Story(body=body, stored_at=1005.0, told_at=1005.1, job=_job(**settings))


def _on_the_way(at: float, over_at: float) -> list[Strike]:
    return [Strike(at, in_flight=250, cuts_calls=True, over_at=over_at)]


_HELD: dict[str, Callable[[], Story]] = {
    "nothing happened": Story,
    "the victim's own job was called again and says so": lambda: Story(body=_FLAGGED, **_ORPHANED),
    "two faults hit the same job": lambda: Story(body=_FLAGGED, **_TWICE_ORPHANED),
    "an expected error was logged": lambda: Story(complaints=["ERROR expected", "WARNING any"]),
    "a refused call was made again": lambda: Story(
        calls=_AGAIN, statuses=[429], stored_at=1011, told_at=1011
    ),
    "an answer got lost on the way": lambda: Story(
        calls=[("w002", 998.0), ("w002", 998.5)], body=_FLAGGED, strikes=_on_the_way(997.5, 999)
    ),
    "a deadline passed": lambda: _late(_EXPIRED, deadline_seconds=5.0),
    "an outcome is unknown, and its caller wants no second call": lambda: _late(_UNKNOWN, on_unknown="fail"),
    "refused until its short deadline": lambda: Story(
        body=_REFUSED, statuses=[429], stored_at=1001.0, told_at=1001.1, job=_job(deadline_seconds=5.0)
    ),
    "nobody could say whether another worker had it": lambda: Story(
        strikes=[_STORE_AWAY], body=_FLAGGED, assigned_at=[996.5]
    ),
    "a process died young": lambda: Story(rss_mib={"worker-1": [10.0, 100.0] * 10}),
}

_BROKEN: dict[str, tuple[str, Callable[[], Story]]] = {
    "too little in flight": ("every fault struck while", _struck(in_flight=199)),
    "nothing in flight at the victim": ("every fault struck while", _struck(victim_in_flight=0)),
    "the fault never struck": ("every fault struck while", lambda: Story(strikes=[])),
    "a total that is too high": ("the totals of", lambda: Story(totals={"succeeded": 2, "prompt_tokens": 0})),
    "a call that is not counted": ("every call is counted", lambda: _peaceful(miscounted=-1)),
    "refused": ("every offered job was accepted", lambda: Story(is_accepted=False)),
    "failed": ("every accepted job has", lambda: Story(body={"status": "failed"})),
    "expired without a deadline of its own": ("every accepted job has", lambda: _late(_EXPIRED)),
    "expired too early": ("every accepted job has", lambda: _late(_EXPIRED, deadline_seconds=9.0)),
    "unknown, and its caller wanted a second call": ("every accepted job has", lambda: _late(_UNKNOWN)),
    "refused with all the time in the world": (
        "every accepted job has",
        lambda: Story(body=_REFUSED, statuses=[429], stored_at=1001.0, told_at=1001.1),
    ),
    "unknown for no reason": (
        "every accepted job has",
        lambda: Story(body=_UNKNOWN, job=_job(on_unknown="fail")),
    ),
    "answered with another's answer": ("the job's own", lambda: Story(body={"data": {"response": "no"}})),
    "read differently the second time": ("never changes", lambda: Story(later={"timestamp": "later"})),
    "another failure the second time": (
        "never changes",
        lambda: replace(_late(_EXPIRED, deadline_seconds=5.0), later={"error": {"error_code": "OTHER"}}),
    ),
    "waited for something else": ("who waited got", lambda: Story(told={"model": "other"})),
    "told late": ("who waits is told", lambda: Story(told_at=999 + 5.1)),
    "called again although it had ended": (
        "only jobs whose call was cut",
        lambda: Story(calls=_AGAIN, body=_FLAGGED),
    ),
    "called three times": (
        "only jobs whose call was cut",
        lambda: Story(calls=[*_AGAIN, ("w003", 1010.5)], body=_FLAGGED, stored_at=1011, told_at=1011.1),
    ),
    "called again after a fault elsewhere": (
        "only jobs whose call was cut",
        lambda: Story(body=_FLAGGED, **{**_TWICE_ORPHANED, "strikes": _TWICE_ORPHANED["strikes"][:1]}),
    ),
    "called again before its way was cut": (
        "only jobs whose call was cut",
        lambda: Story(
            calls=[("w002", 998.0), ("w002", 998.5)], body=_FLAGGED, strikes=_on_the_way(1000, 1001)
        ),
    ),
    "more calls than jobs and cuts": ("no more calls than", lambda: Story(calls=_AGAIN, body=_FLAGGED)),
    "called twice against its will": (
        "on_unknown: fail is never",
        lambda: Story(body=_FLAGGED, job=_job(on_unknown="fail"), **_ORPHANED),
    ),
    "called after its deadline": (
        "after its deadline",
        lambda: Story(body=_FLAGGED, job=_job(deadline_seconds=5.0), **_ORPHANED),
    ),
    "called again and silent about it": ("a job called twice says", lambda: Story(**_ORPHANED)),
    "flagged although everybody could be asked": (
        "no other job says",
        lambda: _peaceful(body=_FLAGGED, assigned_at=[996.5]),
    ),
    "flagged long after the partition came": (
        "no other job says",
        lambda: Story(strikes=[_STORE_AWAY], body=_FLAGGED, assigned_at=[980.0]),
    ),
    "a fault that nobody saw": ("every fault struck", lambda: Story(complaints=[])),
    "flagged for nothing": ("no other job says", lambda: Story(body=_FLAGGED)),
    "called about something else": (
        "asked about nothing else",
        lambda: Story(calls=[("w002", 998.0), ("", 998.5)]),
    ),
    "kept waiting for nothing": (
        "no job waits",
        lambda: Story(calls=[("w001", 997 + 45.1)], stored_at=1043, told_at=1043.1),
    ),
    "left uncommitted": ("every record is committed", lambda: Story(uncommitted_records=1)),
    "ended badly": ("exits with 0", _struck(exit_code=1)),
    "logged an error": ("logged an error", lambda: Story(complaints=["ERROR expected", "ERROR unexpected"])),
    "grew": ("no process grows", lambda: Story(rss_mib={"worker-1": [100.0] * 40 + [151.0] * 20})),
}


@pytest.mark.parametrize("story", _HELD.values(), ids=_HELD.keys())
def test_what_may_happen_is_no_violation(story: Callable[[], Story]) -> None:
    assert violations(story().evidence()) == []


@pytest.mark.parametrize(("invariant", "story"), _BROKEN.values(), ids=_BROKEN.keys())
def test_what_must_not_happen_violates_its_invariant_alone(
    invariant: str, story: Callable[[], Story]
) -> None:
    found = [violation.invariant for violation in violations(story().evidence())]
    others = [name for name in found if invariant not in name]
    assert len(found) - len(others) == 1, found
    assert all(_belongs_to(name, invariant) for name in others), found


def _belongs_to(other: str, invariant: str) -> bool:
    """A call too many breaks its own rule and the sum of all calls."""
    too_many = ("only jobs whose call was cut", "no more calls than", "asked about nothing else")
    return any(word in other for word in too_many) and invariant in too_many


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


def test_the_time_in_which_a_leaving_workers_partition_is_not_served() -> None:
    # Given a worker that left at 1000 s, and a job of a partition it had called for, ready 2 s later
    story = Story(job=_job())
    story.strikes = [Strike(_STRUCK_AT, 250, departures=(Departure(_STRUCK_AT, "w002"),))]
    evidence = story.evidence()
    later = OfferedJob("another", is_waiting=False, request_id=story.job.request_id, offered_at=1002)
    later.accepted_at = 1002
    told = replace(
        evidence, jobs=[story.job, later], calls=[*evidence.calls, Call(9, "another", "w001", {}, 0, 1003.5)]
    )
    # Then it stood still from when the job was ready
    assert measure_stalls(told).partition_unserved == pytest.approx(1.5)


_AWAY = {**_REFUSED, "error": {"error_code": "UPSTREAM_UNAVAILABLE", "retryable": True}}


@pytest.mark.parametrize(
    ("body", "another_was_told", "job", "is_lost"),
    [
        pytest.param(_REFUSED, 429, {"deadline_seconds": 5.0}, False, id="its deadline was too near"),
        pytest.param(_AWAY, 503, {}, False, id="its caller waited"),
        pytest.param(_REFUSED, 429, {}, True, id="it had time, and waiting is no reason"),
        pytest.param(_AWAY, 503, {"is_waiting": False}, True, id="nobody waited, and it had time"),
        pytest.param(_REFUSED, 200, {"deadline_seconds": 5.0}, True, id="nobody was refused before"),
    ],
)
def test_who_ends_without_a_call_while_the_provider_refuses_others(
    body: dict[str, Any], another_was_told: int, job: dict[str, Any], is_lost: bool
) -> None:
    story = Story(
        body=body, calls=[], job=OfferedJob("a prompt", offered_at=997, **{"is_waiting": True, **job})
    )
    call = Call(0, "another's prompt", "w001", {}, arrived_at=998.5, status=another_was_told)
    evidence = replace(story.evidence(), calls=[call])
    assert evidence.is_lost(story.job) is is_lost


def test_a_seed_is_a_schedule() -> None:
    names = [planned.name for planned in draw_schedule(7)]
    assert draw_schedule(7) == draw_schedule(7)
    assert names != [planned.name for planned in draw_schedule(8)]
    assert set(names[: len(CATALOGUE)]) == set(CATALOGUE)
