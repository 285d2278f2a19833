"""What each source says, in the same names, so that two of them can be compared."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from tests.chaos.agreement.prices import nano_dollars
from tests.support.provider_ledger import Call

Book = Counter[str]
"""`jobs:<status>`, `calls`, `calls:<outcome>`, `retry:<reason>`, `error:<code>`, `hits`, `flagged`, and of
answers that were paid for: `answers:<model>`, `prompt_tokens:<model>`, `completion_tokens:<model>`,
`nano_dollars:<model>`, `unpriced`."""

Fact = Mapping[str, Any]

_NANO = 1_000_000_000
_MODEL_AMOUNTS = ("answers", "prompt_tokens", "completion_tokens")
MONEY = (*(f"{name}:" for name in (*_MODEL_AMOUNTS, "nano_dollars")), "unpriced")
ENDS = ("jobs:", "retry:", "error:", "hits", "flagged")
RATE_LIMITED = "UPSTREAM_RATE_LIMITED"


def nano(dollars: float | None) -> int | None:
    return None if dollars is None else round(dollars * _NANO)


def paid(model: str, prompt: int | None, completion: int | None, cost: int | None) -> Book:
    """One answer that somebody was charged for."""
    return Counter(
        {
            f"answers:{model}": 1,
            f"prompt_tokens:{model}": prompt or 0,
            f"completion_tokens:{model}": completion or 0,
            f"nano_dollars:{model}": cost or 0,
            "unpriced": int(cost is None),
        }
    )


def paid_call(call: Call) -> Book:
    """A call that the provider served, at its price."""
    cost = nano_dollars(call)
    return paid(call.answered_model, call.prompt_tokens, call.completion_tokens, cost)


def paid_fact(fact: Fact) -> Book:
    """Of a call or of a job."""
    model = fact["response_model"] if fact["event"] == "provider_called" else fact["model"]
    return paid(model, fact["prompt_tokens"], fact["completion_tokens"], nano(fact["cost_usd"]))


def of_ledger(calls: Iterable[Call]) -> Book:
    book: Book = Counter()
    for call in calls:
        book["calls"] += 1
        book[f"calls:{RATE_LIMITED}"] += call.status == 429
        if call.was_served:
            book.update(paid_call(call))
    return book


def of_call_facts(facts: Iterable[Fact]) -> Book:
    book: Book = Counter()
    for fact in facts:
        if fact["event"] == "provider_called":
            book.update({"calls": 1, f"calls:{fact['outcome']}": 1})
            if fact["outcome"] == "succeeded":
                book.update(paid_fact(fact))
    return book


def of_job_facts(facts: Iterable[Fact]) -> Book:
    book: Book = Counter()
    for fact in facts:
        if fact["event"] != "job_finished":
            continue
        book.update({f"jobs:{fact['status']}": 1, "hits": fact["cached"]})
        book.update({"flagged": fact["possible_duplicate_charge"]})
        book.update({f"retry:{reason}": count for reason, count in (fact["retries"] or {}).items()})
        if fact["error_code"] is not None:
            book[f"error:{fact['error_code']}"] += 1
        if fact["status"] == "succeeded" and not fact["cached"]:
            book.update(paid_fact(fact))
    return book


def of_answers(bodies: Iterable[Mapping[str, Any]]) -> Book:
    """The last answer of every job, as `GET /result` told it."""
    book: Book = Counter()
    for body in bodies:
        book["calls"] += body["performance"]["attempts"]
        if body["success"] and not body["cached"]:
            usage = body["usage"] or {}
            tokens = usage.get("prompt_tokens"), usage.get("completion_tokens")
            book.update(paid(body["model"], *tokens, nano(body["cost_usd"])))
    return book


def of_stats(told: Mapping[str, Any]) -> Book:
    """`total`, or a window."""
    book: Book = Counter({f"jobs:{status}": count for status, count in told["requests"].items()})
    book.update({"calls": told["provider_calls"], "hits": told["cache"]["hits"]})
    book.update({"unpriced": told["unpriced_answers"], "flagged": told["possible_duplicate_charges"]})
    for kind in ("retries", "errors"):
        prefix = {"retries": "retry", "errors": "error"}[kind]
        book.update({f"{prefix}:{name}": count for name, count in told[kind].items()})
    for model, amounts in told["models"].items():
        book.update({f"{name}:{model}": amounts[name] for name in _MODEL_AMOUNTS})
        book[f"nano_dollars:{model}"] += nano(amounts["cost_usd"]) or 0
    return book
