"""No fact is missing, none is doubled, each stands behind those that its process told before it."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise

from tests.chaos.agreement import judging
from tests.chaos.agreement.books import Fact
from tests.chaos.agreement.kafka_away import EventsEvidence
from tests.chaos.agreement.report import Verdict

Check = Callable[[EventsEvidence], Iterable[str]]


def events_violations(evidence: EventsEvidence) -> Mapping[str, tuple[str, ...]]:
    """Every statement that does not hold, and where."""
    found = {name: tuple(check(evidence)) for name, check in STATEMENTS.items()}
    found |= {name: tuple(check(evidence.told)) for name, check in _AGREEMENT.items()}
    return {name: where for name, where in found.items() if where}


def accepted_have_ended(evidence: EventsEvidence) -> Iterator[str]:
    yield from evidence.accepted - evidence.told.answers.keys()


def load_went_on(evidence: EventsEvidence) -> Iterator[str]:
    if not evidence.ended_meanwhile:
        yield "no job ended while Kafka was away"
    if not (evidence.most_spooled or evidence.refused):
        yield "nothing waited and nothing was refused"


def nothing_waits_and_nothing_was_dropped(evidence: EventsEvidence) -> Iterator[str]:
    yield from (f"left in the spool: {name}" for name in evidence.left_in_spool)
    for name in ("llm_events_dropped_total", "llm_events_spooled"):
        if evidence.events[name]:
            yield f"{name} {evidence.events[name]}"
    if evidence.events["llm_events_resent_total"] < evidence.most_spooled:
        yield f"{evidence.most_spooled} waited, {evidence.events['llm_events_resent_total']} were sent"
    if evidence.uncommitted:
        yield f"{evidence.uncommitted} records not committed"


def each_once(evidence: EventsEvidence) -> Iterator[str]:
    """After deduplication by event, owner, request id and attempt alone: no worker died here."""
    keys = Counter(
        (fact["event"], fact["owner"], fact["request_id"], fact.get("attempt", fact.get("attempts")))
        for fact in evidence.told.once
    )
    yield from (f"{key}: {count} times" for key, count in keys.items() if count > 1)


def in_their_order(evidence: EventsEvidence) -> Iterator[str]:
    """Of each partition: calls in the order in which the process told them, a job's end behind its calls."""
    for number, partition in enumerate(evidence.told.facts.partitions):
        calls = [fact for fact in _first_tellings(partition) if fact["event"] == "provider_called"]
        for one, other in pairwise(calls):
            if one["timestamp"] > other["timestamp"]:
                yield f"partition {number}: {one['timestamp']} before {other['timestamp']}"
        yield from _ends_before_calls(_first_tellings(partition))


def _ends_before_calls(facts: Iterable[Fact]) -> Iterator[str]:
    seen: defaultdict[str, int] = defaultdict(int)
    for fact in facts:
        attempt = fact.get("attempt", fact.get("attempts"))
        if attempt < seen[fact["request_id"]]:
            yield f"{fact['request_id']}: {fact['event']} {attempt} behind {seen[fact['request_id']]}"
        seen[fact["request_id"]] = attempt


def _first_tellings(facts: Iterable[Fact]) -> list[Fact]:
    return [*{tuple(sorted(map(str, fact.items()))): fact for fact in facts}.values()]


STATEMENTS: Mapping[str, Check] = {
    "every accepted job has ended": accepted_have_ended,
    "jobs ended while Kafka was away": load_went_on,
    "the spool is empty, and nothing was dropped": nothing_waits_and_nothing_was_dropped,
    "no fact is doubled": each_once,
    "the order of the process is kept": in_their_order,
}
_AGREEMENT: Mapping[str, judging.Check] = {
    "no fact of a job is missing (= /stats)": judging.ends_are_equal,
    "no fact of a call is missing (= ledger)": judging.calls_have_their_facts,
    "every answer that was charged is told": judging.answers_that_nobody_has,
    "Prometheus = ledger = /stats = facts": judging.prometheus_is_equal,
}


def judge_events(title: str, evidence: EventsEvidence) -> Verdict:
    facts = evidence.told.facts
    figures = {
        "accepted": len(evidence.accepted),
        "refused": evidence.refused,
        "ended while Kafka was away": evidence.ended_meanwhile,
        "facts": len(facts.once),
        "told twice": facts.repeated,
        "most in the spool": evidence.most_spooled,
        "sent from the spool": evidence.events["llm_events_resent_total"],
        "dropped": evidence.events["llm_events_dropped_total"],
        "seconds": round(evidence.told.seconds),
    }
    lines = (", ".join(f"{name} {count}" for name, count in figures.items()), f"{evidence.told.complaints}")
    return Verdict(title, lines, figures, events_violations(evidence))
