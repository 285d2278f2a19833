"""Sums as the figures that people read."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from gateway.service_faults import SERVICE_FAULTS
from shared.domain.histogram import percentile_ms
from shared.domain.totals import NANO

Amounts = Mapping[str, int]

_JOBS = ("succeeded", "failed", "expired", "cancelled")
_CALLS = ("replayed", "refused")
_DURATIONS = {"end_to_end": "end_to_end_ms", "queue": "queue_ms", "provider": "provider_ms"}
_PERCENTS = (50, 95, 99)
_MODEL_AMOUNTS = ("answers", "prompt_tokens", "completion_tokens")


def add_up(parts: Iterable[Amounts]) -> Counter[str]:
    """The sum of sums."""
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return total


def figures(sums: Amounts) -> dict[str, Any]:
    """All that is told of a time."""
    kinds = _kinds(sums)
    return {
        "requests": {
            **{name: sums.get(f"jobs_{name}", 0) for name in _JOBS},
            **{name: sums.get(name, 0) for name in _CALLS},
        },
        "provider_calls": sums.get("provider_calls", 0),
        "retries": kinds["retry"],
        "errors": kinds["error"],
        "service_faults": sum(kinds["error"].get(code, 0) for code in SERVICE_FAULTS),
        "cache": {name: sums.get(f"cache_{name}", 0) for name in ("hits", "misses")},
        "tokens": {name: sums.get(name, 0) for name in ("prompt_tokens", "completion_tokens")},
        "cost_usd": sums.get("nano_dollars", 0) / NANO,
        "unpriced_answers": sums.get("unpriced_answers", 0),
        "models": _models(kinds["model"]),
        "possible_duplicate_charges": sums.get("possible_duplicate_charges", 0),
        "latency_ms": {name: _latency(kinds[kind]) for name, kind in _DURATIONS.items()},
    }


def _kinds(sums: Amounts) -> dict[str, dict[str, int]]:
    """`error:<code>` and the like, by what stands before the colon."""
    kinds: dict[str, dict[str, int]] = defaultdict(dict)
    for name, amount in sums.items():
        kind, colon, rest = name.partition(":")
        if colon:
            kinds[kind][rest] = amount
    return kinds


def _models(amounts: Amounts) -> dict[str, dict[str, float]]:
    models: dict[str, dict[str, float]] = {}
    for name, amount in amounts.items():
        what, _, model = name.partition(":")
        told = models.setdefault(model, dict.fromkeys((*_MODEL_AMOUNTS, "cost_usd"), 0))
        if what in _MODEL_AMOUNTS:
            told[what] = amount
        elif what == "nano_dollars":
            told["cost_usd"] = amount / NANO
    return models


def _latency(buckets: Amounts) -> dict[str, float | None]:
    counts = {int(bucket): count for bucket, count in buckets.items()}
    percentiles = {f"p{percent}": percentile_ms(counts, percent) for percent in _PERCENTS}
    return {"count": sum(counts.values()), **percentiles}
