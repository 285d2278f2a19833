"""What one stored result adds to the statistics of the whole service.

Names are flat, so that every store can add them up: `jobs_succeeded`, `error:<code>`, `retry:<code>`,
`model:<amount>:<model>`, and `<what>_ms:<bucket>` for the histograms of durations.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

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
_SPENT = ("answers", "prompt_tokens", "completion_tokens", "nano_dollars", "unpriced_answers")
_seen_models: set[str] = set()


def tally(result: Succeeded | Failed) -> dict[str, int]:
    """Name to amount; the store adds it in the step that stores the result, so that nothing counts twice.

    `PROVIDER_CALLS` is the store's to add: a result tells those of earlier results of its id too.
    """
    is_cached = isinstance(result, Succeeded) and result.from_cache is True
    amounts = {
        f"jobs_{result.status}": 1,
        f"end_to_end_ms:{bucket_of(result.total_ms)}": 1,
        f"queue_ms:{bucket_of(result.queue_ms)}": 1,
    }
    if result.llm_latency_ms:
        amounts[f"provider_ms:{bucket_of(result.llm_latency_ms)}"] = 1
    if result.possible_duplicate_charge:
        amounts["possible_duplicate_charges"] = 1
    for reason, count in (result.retries or {}).items():
        amounts[f"retry:{reason}"] = count
    if isinstance(result, Failed):
        amounts[f"error:{result.error.error_code}"] = 1
    elif is_cached:
        amounts["cache_hits"] = 1
    else:
        _add_spent(amounts, result)
    return amounts


def _add_spent(amounts: dict[str, int], result: Succeeded) -> None:
    """Tokens and dollars, of all models and of the one that answered."""
    answers, prompt, completion, dollars, unpriced = _model_names(model_label(result.model))
    usage, nano = result.usage, round((result.cost_usd or 0.0) * NANO)
    amounts["answers"] = amounts[answers] = 1
    if usage is not None and usage.prompt_tokens:
        amounts["prompt_tokens"] = amounts[prompt] = usage.prompt_tokens
    if usage is not None and usage.completion_tokens:
        amounts["completion_tokens"] = amounts[completion] = usage.completion_tokens
    if nano:
        amounts["nano_dollars"] = amounts[dollars] = nano
    if result.cost_usd is None:
        amounts["unpriced_answers"] = amounts[unpriced] = 1


@lru_cache(_MOST_MODELS + 1)
def _model_names(model: str) -> Sequence[str]:
    """Of the amounts of one model."""
    return [f"model:{name}:{model}" for name in _SPENT]


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
