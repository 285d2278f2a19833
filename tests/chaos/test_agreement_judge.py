"""Every statement is seen to fail: made-up evidence that agrees, and one source that says something else."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.agreement.books import Book, of_call_facts, paid_call
from tests.chaos.agreement.evidence import Evidence, Kill
from tests.chaos.agreement.facts import Facts
from tests.chaos.agreement.judging import everything_happened, violations
from tests.chaos.agreement.judging_events import events_violations
from tests.chaos.agreement.kafka_away import EventsEvidence
from tests.chaos.agreement.questions import Question
from tests.support.provider_ledger import Call

ID, KEY, MODEL = "6f0a1c2e-7b3d-4e5f-8a9b-0c1d2e3f4a5b", "w001", "gpt-4o-mini"
COST = 100 * 150 + 10 * 600  # nano-dollars


def call(**more: Any) -> Call:
    served = {"status": 200, "answered_model": MODEL, "prompt_tokens": 100, "completion_tokens": 10}
    told = {**served, "total_tokens": 110, "arrived_at": 10.0, "ended_at": 11.0, **more}
    return Call(1, "why", KEY, {}, **told)


CALLED: Mapping[str, Any] = {
    "event": "provider_called",
    "owner": "public",
    "request_id": ID,
    "attempt": 1,
    "outcome": "succeeded",
    "response_model": MODEL,
    "prompt_tokens": 100,
    "completion_tokens": 10,
    "cost_usd": COST / 1e9,
    "timestamp": "2026-01-02T03:04:05.000Z",
}
_SPENT = ("prompt_tokens", "completion_tokens", "cost_usd")
FINISHED: Mapping[str, Any] = {
    **{
        name: CALLED[name]
        for name in ("owner", "request_id", "prompt_tokens", "completion_tokens", "cost_usd")
    },
    "event": "job_finished",
    "model": MODEL,
    "attempts": 1,
    "status": "succeeded",
    "error_code": None,
    "retries": None,
    "cached": False,
    "possible_duplicate_charge": False,
    "timestamp": "2026-01-02T03:04:05.100Z",
}
STATS: Mapping[str, Any] = {
    "requests": {"succeeded": 1, "replayed": 0, "refused": 0},
    "provider_calls": 1,
    "cache": {"hits": 0},
    "unpriced_answers": 0,
    "possible_duplicate_charges": 0,
    "retries": {},
    "errors": {},
    "models": {MODEL: {"answers": 1, "prompt_tokens": 100, "completion_tokens": 10, "cost_usd": COST / 1e9}},
}
ANSWER: Mapping[str, Any] = {
    "success": True,
    "cached": False,
    "model": MODEL,
    "usage": {"prompt_tokens": 100, "completion_tokens": 10},
    "cost_usd": COST / 1e9,
    "performance": {"attempts": 1},
}
AGREED = Evidence(
    questions=[Question({"user_prompt": "why"}, request_id=ID)],
    answers={ID: ANSWER},
    calls=[call()],
    facts=Facts([[CALLED, FINISHED]]),
    stats={"total": STATS, "last_60_minutes": STATS},
    workers={KEY: of_call_facts([CALLED]) + Book({"jobs:succeeded": 1})},
    gateways=Book(),
)
KILL = Kill(KEY, at=20.0, scraped_from=19.0, scraped=paid_call(call()))


def broken(evidence: Evidence) -> set[str]:
    """But for the one that such little evidence cannot fulfil."""
    return set(violations(evidence)) - {"every kind of end, fault and price occurred"}


def stats(**more: Any) -> Mapping[str, Any]:
    return {"total": {**STATS, **more}, "last_60_minutes": {**STATS, **more}}


DEARER = {**FINISHED, "cost_usd": (COST + 1) / 1e9}
BREAKAGES: Mapping[str, tuple[Evidence, str]] = {
    "no end": (replace(AGREED, answers={}), "every job has ended"),
    "a lost fact of a job": (replace(AGREED, facts=Facts([[CALLED]])), "/stats = facts of jobs + what"),
    "a fact with another time": (
        replace(AGREED, facts=Facts([[CALLED, FINISHED, {**FINISHED, "timestamp": "later"}]])),
        "/stats = facts of jobs + what",
    ),
    "a nano-dollar": (replace(AGREED, facts=Facts([[CALLED, DEARER]])), "/stats = facts of jobs = answers"),
    "a call that /stats forgot": (
        replace(AGREED, stats=stats(provider_calls=0)),
        "/stats = answers: provider",
    ),
    "the hour": (
        replace(AGREED, stats={"total": STATS, "last_60_minutes": {"provider_calls": 0}}),
        "the hour",
    ),
    "a lost fact of a call": (replace(AGREED, facts=Facts([[FINISHED]])), "ledger = facts of calls"),
    "a token": (
        replace(AGREED, facts=Facts([[{**CALLED, "prompt_tokens": 99}, FINISHED]])),
        "ledger = facts of calls",
    ),
    "a call that nobody stored": (replace(AGREED, calls=[call(), call()]), "ledger = facts of jobs"),
    "a series": (replace(AGREED, workers={KEY: Book()}), "Prometheus = ledger"),
    "a dead worker's series": (
        replace(AGREED, kills=[replace(KILL, scraped=Book())]),
        "Prometheus of a killed worker",
    ),
    "a refusal": (replace(AGREED, gateways=Book({"jobs:refused": 1})), "/stats = Prometheus of the gateways"),
}


def test_evidence_that_agrees_violates_nothing() -> None:
    assert broken(AGREED) == set()
    assert [*everything_happened(AGREED)], "one plain job is not every kind"


@pytest.mark.parametrize("name", BREAKAGES)
def test_a_source_that_says_something_else_is_found(name: str) -> None:
    evidence, statement = BREAKAGES[name]
    assert [found for found in broken(evidence) if found.startswith(statement)]


def test_a_fact_that_was_told_twice_counts_once() -> None:
    assert broken(replace(AGREED, facts=Facts([[CALLED, FINISHED, CALLED, FINISHED]]))) == set()
    again = {**FINISHED, "offset": 7}  # of another record of the same job
    assert broken(replace(AGREED, facts=Facts([[CALLED, FINISHED, again]]))) == set()


def test_only_a_killed_worker_s_last_calls_may_be_untold() -> None:
    dying = replace(AGREED, calls=[call(), call(arrived_at=19.5, ended_at=0.0, status=0)])
    assert broken(dying)
    assert broken(replace(dying, kills=[KILL], stats=stats())) == set()
    earlier = replace(AGREED, calls=[call(), call(arrived_at=18.0, ended_at=18.5, status=503)])
    assert broken(replace(earlier, kills=[KILL], stats=stats()))


EVENTS = EventsEvidence(
    told=AGREED,
    accepted=frozenset({ID}),
    refused=0,
    ended_meanwhile=1,
    most_spooled=2,
    events=Book({"llm_events_resent_total": 2}),
    left_in_spool=(),
    uncommitted=0,
)
AGAIN = {**CALLED, "timestamp": "2026-01-02T03:04:09.000Z"}
EVENT_BREAKAGES: Mapping[str, tuple[EventsEvidence, str]] = {
    "an accepted job without an end": (replace(EVENTS, accepted=frozenset({"x"})), "every accepted job"),
    "no load": (replace(EVENTS, ended_meanwhile=0), "jobs ended"),
    "nothing waited": (replace(EVENTS, most_spooled=0), "jobs ended"),
    "a spool": (replace(EVENTS, left_in_spool=("a",)), "the spool is empty"),
    "a drop": (replace(EVENTS, events=Book({"llm_events_dropped_total": 1})), "the spool is empty"),
    "not sent again": (replace(EVENTS, events=Book()), "the spool is empty"),
    "an offset": (replace(EVENTS, uncommitted=1), "the spool is empty"),
    "a double": (replace(EVENTS, told=replace(AGREED, facts=Facts([[CALLED, AGAIN]]))), "no fact is doubled"),
    "an order": (replace(EVENTS, told=replace(AGREED, facts=Facts([[AGAIN, CALLED]]))), "the order"),
    "a missing end": (replace(EVENTS, told=replace(AGREED, facts=Facts([[CALLED]]))), "no fact of a job"),
    "a missing call": (replace(EVENTS, told=replace(AGREED, facts=Facts([[FINISHED]]))), "no fact of a call"),
}


@pytest.mark.parametrize("name", EVENT_BREAKAGES)
def test_what_happens_to_facts_while_kafka_is_away_is_found(name: str) -> None:
    assert events_violations(EVENTS) == {}
    evidence, statement = EVENT_BREAKAGES[name]
    assert [found for found in events_violations(evidence) if found.startswith(statement)]
