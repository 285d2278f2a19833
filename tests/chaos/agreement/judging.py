"""What must be equal, and the one thing that may differ: what a killed process took along. See README.md."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from tests.chaos.agreement.books import ENDS, MONEY, Book, of_call_facts, of_ledger, paid_call, paid_fact
from tests.chaos.agreement.evidence import Evidence, Kill
from tests.chaos.agreement.facts import by_prompt, outcomes
from tests.chaos.agreement.questions import FAILED_FIRST
from tests.support.provider_ledger import Call

_CUT_OFF = "cut_off"
_TOLD_SECONDS = 1.0
"""So long before its end a process may not have told what it knew: 0.2 s to gather, and the batch before."""
_MUST_HAPPEN = (
    *("jobs:succeeded", "jobs:failed", "jobs:expired", "jobs:cancelled", "jobs:replayed"),
    *("retry:UPSTREAM_RATE_LIMITED", "retry:UPSTREAM_UNAVAILABLE", "retry:UPSTREAM_TIMEOUT"),
    *("retry:UPSTREAM_INVALID_RESPONSE", "error:UNKNOWN_OUTCOME", "error:CONTEXT_TOO_LONG"),
    *("unpriced", "hits", "flagged", "nano_dollars:house-1", "nano_dollars:gpt-4o-mini-2024-07-18"),
)

Check = Callable[[Evidence], Iterable[str]]


def violations(evidence: Evidence) -> Mapping[str, tuple[str, ...]]:
    """Every statement that does not hold, and where."""
    found = {name: tuple(check(evidence)) for name, check in STATEMENTS.items()}
    return {name: where for name, where in found.items() if where}


def everybody_ended(evidence: Evidence) -> Iterator[str]:
    yield from (q.request_id for q in evidence.questions if q.request_id not in evidence.answers)


def everything_happened(evidence: Evidence) -> Iterator[str]:
    yield from (name for name in _MUST_HAPPEN if not evidence.books["/stats"][name])
    if not any(call.cached_tokens for call in evidence.calls):
        yield "cached tokens"


def ends_are_equal(evidence: Evidence) -> Iterator[str]:
    stats, facts = evidence.books["/stats"], evidence.books["job facts"] + lost_ends(evidence)
    yield from _differences("/stats", stats, "job facts", facts, ENDS)


def lost_ends(evidence: Evidence) -> Book:
    """Failures that a killed worker had stored and not told, and that were asked again at once.

    A result that is still there is told by who gets its record; these were gone when it came.
    """
    finished = [fact for fact in evidence.once if fact["event"] == "job_finished"]
    ends = Counter(fact["request_id"] for fact in finished)
    # Flagged: its first run was interrupted, so it need not have failed at all.
    interrupted = {fact["request_id"] for fact in finished if fact["possible_duplicate_charge"]}
    calls = _by_prompt(evidence.calls)
    lost: Book = Counter()
    for question in evidence.questions:
        is_missing = question.then == "ask again" and ends[question.request_id] == 1
        is_missing = is_missing and question.request_id not in interrupted
        if is_missing and _untold(calls[question.prompt], evidence.kills):
            lost.update(FAILED_FIRST)
    return lost


def money_of_jobs_is_equal(evidence: Evidence) -> Iterator[str]:
    yield from _unequal(evidence, ("/stats", "job facts", "answers"), MONEY)


def attempts_are_equal(evidence: Evidence) -> Iterator[str]:
    yield from _unequal(evidence, ("/stats", "answers"), ("calls",), exact=True)


def windows_are_equal(evidence: Evidence) -> Iterator[str]:
    """The campaign is younger than an hour."""
    total, hour = evidence.stats["total"], evidence.stats["last_60_minutes"]
    yield from (f"{name}: {total[name]}, {hour[name]}" for name in hour if total[name] != hour[name])


def calls_have_their_facts(evidence: Evidence) -> Iterator[str]:
    """Question by question: as many facts as calls, and of each answer the same model, tokens and dollars.

    A call that was cut off may never have reached the provider. A dead worker tells nothing.
    """
    facts = by_prompt(evidence.once, evidence.prompts)
    for prompt, calls in _by_prompt(evidence.calls).items():
        told, missing = facts.get(prompt, []), _untold(calls, evidence.kills)
        unseen = outcomes(told)[_CUT_OFF]
        ledger, ours = of_ledger(calls), of_call_facts(told)
        if not ledger["calls"] - missing <= ours["calls"] <= ledger["calls"] + unseen:
            yield f"{prompt}: {ledger['calls']} calls, {ours['calls']} facts"
        if not missing and _money(ledger) != _money(ours):
            yield f"{prompt}: {_money(ledger)}, {_money(ours)}"


def answers_that_nobody_has(evidence: Evidence) -> Iterator[str]:
    """The provider served a call whose answer is not stored: only where a worker died."""
    facts = by_prompt(evidence.once, evidence.prompts)
    for prompt, calls in _by_prompt(evidence.calls).items():
        served = sum((paid_call(call) for call in calls if call.was_served), Book())
        ends = (fact for fact in facts.get(prompt, []) if fact["event"] == "job_finished")
        stored = [fact for fact in ends if fact["status"] == "succeeded" and not fact["cached"]]
        if served != sum(map(paid_fact, stored), Book()) and not _untold(calls, evidence.kills):
            yield f"{prompt}: {served}, {stored}"


def prometheus_is_equal(evidence: Evidence) -> Iterator[str]:
    """Per worker: its own calls; of all of them, where none was killed: everything."""
    for key, book in evidence.workers.items():
        ledger = of_ledger(call for call in evidence.calls if call.key_ending == key)
        yield from _differences(f"Prometheus of {key}", book, f"calls of {key}", ledger, MONEY)
    if not evidence.kills:
        yield from _unequal(evidence, ("Prometheus", "/stats"), (*ENDS, *MONEY))
        yield from _unequal(evidence, ("Prometheus", "call facts"), ("calls",))
        yield from _unequal(evidence, ("/stats", "call facts"), ("calls",), exact=True)


def dead_are_told_until_they_were_read(evidence: Evidence) -> Iterator[str]:
    """What Prometheus had of a worker before its kill: at least what had ended by then, no more than was."""
    for kill in evidence.kills:
        calls = [call for call in evidence.calls if call.key_ending == kill.key_ending]
        until = kill.scraped_from - _TOLD_SECONDS
        least = of_ledger(call for call in calls if call.ended_at and call.ended_at < until)
        most = of_ledger(calls)
        for name in sorted({*least, *most}):
            is_told = name.startswith(MONEY)
            if is_told and not least[name] <= kill.scraped[name] <= most[name]:
                yield f"{name}: {least[name]} <= {kill.scraped[name]} <= {most[name]}"


def gateways_are_equal(evidence: Evidence) -> Iterator[str]:
    yield from _differences(
        "/stats",
        evidence.books["/stats"],
        "Prometheus of the gateways",
        evidence.gateways,
        ("jobs:replayed", "jobs:refused"),
    )


STATEMENTS: Mapping[str, Check] = {
    "every job has ended": everybody_ended,
    "every kind of end, fault and price occurred": everything_happened,
    "/stats = facts of jobs + what gateways do: ends, retries, errors, hits": ends_are_equal,
    "/stats = facts of jobs = answers: tokens and dollars by model": money_of_jobs_is_equal,
    "/stats = answers: provider calls": attempts_are_equal,
    "the hour = the total": windows_are_equal,
    "ledger = facts of calls: every call, its tokens and dollars": calls_have_their_facts,
    "ledger = facts of jobs: every answer that was charged is stored": answers_that_nobody_has,
    "Prometheus = ledger, worker by worker; = /stats and facts": prometheus_is_equal,
    "Prometheus of a killed worker: what had ended when it was read": dead_are_told_until_they_were_read,
    "/stats = Prometheus of the gateways: replays and refusals": gateways_are_equal,
}


def _unequal(
    evidence: Evidence, names: tuple[str, ...], prefixes: tuple[str, ...], *, exact: bool = False
) -> Iterator[str]:
    first, *others = names
    for other in others:
        book, another = evidence.books[first], evidence.books[other]
        yield from _differences(first, book, other, another, prefixes, exact=exact)


def _differences(
    name: str, book: Book, other: str, another: Book, prefixes: tuple[str, ...], *, exact: bool = False
) -> Iterator[str]:
    for key in sorted({*book, *another}):
        is_meant = key in prefixes if exact else key.startswith(prefixes)
        if is_meant and book[key] != another[key]:
            yield f"{key}: {name} {book[key]}, {other} {another[key]}"


def _money(book: Book) -> Book:
    return +Book({name: amount for name, amount in book.items() if name.startswith(MONEY)})


def _by_prompt(calls: Iterable[Call]) -> Mapping[str, list[Call]]:
    found: dict[str, list[Call]] = {}
    for call in calls:
        found.setdefault(call.message, []).append(call)
    return found


def _untold(calls: Iterable[Call], kills: Iterable[Kill]) -> int:
    """How many of them a worker had made that died before it can have told of them."""
    return sum(
        call.key_ending == kill.key_ending and not 0 < call.ended_at < kill.at - _TOLD_SECONDS
        for call in calls
        for kill in kills
    )
