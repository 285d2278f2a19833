"""What Prometheus would read of a process, as a book."""

from collections import Counter
from collections.abc import Collection, Mapping
from math import isfinite

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.chaos.agreement.books import Book

_NANO = 1_000_000_000
_MODEL = "gen_ai_response_model"
_BY_LABEL = {
    "llm_jobs_total": ("jobs", "status"),
    "llm_retries_total": ("retry", "reason"),
    "llm_job_errors_total": ("error", "error_code"),
    "llm_refusals_total": ("error", "error_code"),
    "llm_provider_attempts_total": ("calls", "outcome"),
}
_SINGLE = {
    "llm_jobs_from_cache_total": ("hits",),
    "llm_possible_duplicate_calls_total": ("flagged",),
    "llm_unpriced_answers_total": ("unpriced",),
}
_OF_GATEWAYS = frozenset({"llm_cache_lookups_total", "llm_refusals_total", "llm_requests_total"})
_TOLD = ("replayed", "refused")
_TOKENS = {"input": "prompt_tokens", "output": "completion_tokens"}
EVENTS = ("llm_events_spooled", "llm_events_resent_total", "llm_events_dropped_total")


def scrape(url: str) -> Book:
    """`/metrics` now."""
    answer = httpx.get(f"{url}/metrics", timeout=30)
    answer.raise_for_status()
    return read(answer.text)


def scrape_parts(url: str) -> tuple[Book, Book]:
    """Of one process: what a worker would tell, and what a gateway would."""
    answer = httpx.get(f"{url}/metrics", timeout=30)
    whole, gateway = read(answer.text), read(answer.text, only=_OF_GATEWAYS)
    whole.subtract(gateway)
    return whole, gateway


def read(text: str, only: Collection[str] | None = None) -> Book:
    """`only`: these series."""
    book: Book = Counter()
    dollars: Counter[str] = Counter()
    for family in text_string_to_metric_families(text):
        for name, labels, value, *_ in family.samples:
            if name == "llm_cost_usd_total":
                dollars[labels["model"]] += value if only is None else 0  # type: ignore[assignment] # of floats
            elif (only is None or name in only) and isfinite(value):
                book.update(_told(name, labels, int(value)))
    book.update({f"nano_dollars:{model}": round(value * _NANO) for model, value in dollars.items()})
    return book


def _told(name: str, labels: Mapping[str, str], value: int) -> Mapping[str, int]:
    if name in _SINGLE:
        return dict.fromkeys(_SINGLE[name], value)
    if name in EVENTS:
        return {name: value}
    if name in _BY_LABEL:
        prefix, label = _BY_LABEL[name]
        more = {"calls": value} if prefix == "calls" else {}
        return {f"{prefix}:{labels[label]}": value, **more}
    if name == "llm_cache_lookups_total" and labels["outcome"] == "hit":
        return dict.fromkeys(("hits", "jobs:succeeded"), value)
    if name == "llm_requests_total" and labels["outcome"] in _TOLD:
        return {f"jobs:{labels['outcome']}": value}
    if name == "gen_ai_client_token_usage_sum":
        return {f"{_TOKENS[labels['gen_ai_token_type']]}:{labels[_MODEL]}": value}
    if name == "gen_ai_client_operation_duration_seconds_count" and not labels["error_type"]:
        return {f"answers:{labels[_MODEL]}": value}
    return {}
