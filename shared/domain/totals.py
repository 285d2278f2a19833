"""What one stored result adds to the statistics of the whole service.

Names are flat, so that every store can add them up: `jobs_succeeded`, `error:<code>`, `retry:<code>`,
`model:<amount>:<model>`, and `<what>_ms:<bucket>` for the histograms of durations.
"""

from collections.abc import Iterator
from datetime import datetime

from shared.domain.histogram import bucket_of
from shared.domain.result import Failed, Succeeded

PROVIDER_CALLS = "provider_calls"
SINCE_MS = "since_ms"
"""When counting began, in milliseconds since 1970."""
SLICE_SECONDS = 10
"""Sums are kept since the start, and for every ten seconds of the last hour."""
SLICES_KEPT_SECONDS = 3_900
NANO = 1_000_000_000

_MOST_MODELS = 200
_OTHER_MODEL = "other"
_seen_models: set[str] = set()


def tally(result: Succeeded | Failed) -> dict[str, int]:
    """Name to amount; the store adds it in the step that stores the result, so that nothing counts twice.

    `PROVIDER_CALLS` is the store's to add: a result tells those of earlier results of its id too.
    """
    is_cached = isinstance(result, Succeeded) and result.from_cache is True
    amounts = {
        f"jobs_{result.status}": 1,
        "cache_hits": int(is_cached),
        "possible_duplicate_charges": int(result.possible_duplicate_charge),
        f"end_to_end_ms:{bucket_of(result.total_ms)}": 1,
        f"queue_ms:{bucket_of(result.queue_ms)}": 1,
        **{f"retry:{reason}": count for reason, count in (result.retries or {}).items()},
    }
    if result.llm_latency_ms:
        amounts[f"provider_ms:{bucket_of(result.llm_latency_ms)}"] = 1
    if isinstance(result, Failed):
        amounts[f"error:{result.error.error_code}"] = 1
    elif not is_cached:
        amounts.update(_spent(result))
    return {name: amount for name, amount in amounts.items() if amount}


def _spent(result: Succeeded) -> Iterator[tuple[str, int]]:
    """Tokens and dollars, of all models and of the one that answered."""
    usage, model = result.usage, model_label(result.model)
    spent = {
        "answers": 1,
        "prompt_tokens": usage.prompt_tokens if usage else 0,
        "completion_tokens": usage.completion_tokens if usage else 0,
        "nano_dollars": round((result.cost_usd or 0.0) * NANO),
        "unpriced_answers": int(result.cost_usd is None),
    }
    for name, amount in spent.items():
        yield name, amount
        yield f"model:{name}:{model}", amount


def model_label(model: str) -> str:
    """The model's name, or `other` where a process has seen too many: callers choose them."""
    if model not in _seen_models:
        if len(_seen_models) >= _MOST_MODELS:
            return _OTHER_MODEL
        _seen_models.add(model)
    return model


def slice_of(instant: datetime) -> int:
    """When the slice began that an instant belongs to, in Unix seconds."""
    return int(instant.timestamp()) // SLICE_SECONDS * SLICE_SECONDS
