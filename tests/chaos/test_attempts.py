"""The judge of repeated calls is judged over made-up evidence."""

from collections import Counter
from collections.abc import Sequence

import orjson
import pytest

from tests.chaos.attempts import calls_that_are_not_counted
from tests.chaos.evidence import Evidence
from tests.chaos.judging_calls import nothing_else_is_flagged, only_cut_calls_are_repeated, surplus_is_flagged
from tests.chaos.offered_job import Answer, OfferedJob
from tests.chaos.violation import Check
from tests.support.provider_ledger import Call

_CHECKS: list[Check] = [
    calls_that_are_not_counted,
    surplus_is_flagged,
    nothing_else_is_flagged,
    only_cut_calls_are_repeated,
]
_COUNTED, _SURPLUS, _NO_OTHER, _CAUSE = _CHECKS
_WELL, _LIMITED, _CUT, _STALLED = (200, ""), (429, ""), (200, "cut"), (0, "stall")


def evidence(calls: Sequence[tuple[int, str]], attempts: int, *, flagged: bool) -> Evidence:
    """One job, called so, whose result says this."""
    body = {
        "status": "succeeded",
        "timestamp": "1970-01-01T00:00:02.000Z",
        "performance": {"attempts": attempts},
        "possible_duplicate_charge": flagged,
    }
    job = OfferedJob("a prompt", is_waiting=False, offered_at=1, accepted_at=1)
    job.first_read = Answer(200, orjson.dumps(body), 3)
    return Evidence(
        fault="a fault",
        least_in_flight=0,
        expected_complaint="",
        jobs=[job],
        calls=[
            Call(number, job.prompt, "w001", {}, status=status, fault=fault)
            for number, (status, fault) in enumerate(calls)
        ],
        strikes=[],
        uncommitted_records=0,
        complaints=Counter(),
        seconds=1,
    )


def violated(seen: Evidence) -> list[Check]:
    return [check for check in _CHECKS if list(check(seen))]


@pytest.mark.parametrize(
    ("calls", "flagged"),
    [
        ([_WELL], False),
        ([_LIMITED, _LIMITED, _WELL], False),
        ([_CUT, _WELL], True),
        ([_STALLED, _LIMITED, _WELL], True),
        ([_LIMITED, _CUT], False),
    ],
)
def test_what_may_happen_is_no_violation(calls: Sequence[tuple[int, str]], flagged: bool) -> None:
    assert violated(evidence(calls, len(calls), flagged=flagged)) == []


@pytest.mark.parametrize(
    ("invariant", "calls", "attempts", "flagged"),
    [
        (_COUNTED, [_LIMITED, _WELL], 1, False),
        (_COUNTED, [_WELL], 2, False),
        (_SURPLUS, [_CUT, _WELL], 2, False),
        (_NO_OTHER, [_LIMITED, _WELL], 2, True),
        (_CAUSE, [_WELL, _WELL], 2, True),
    ],
)
def test_what_must_not_happen_violates_its_invariant_alone(
    invariant: Check, calls: Sequence[tuple[int, str]], attempts: int, flagged: bool
) -> None:
    assert violated(evidence(calls, attempts, flagged=flagged)) == [invariant]
