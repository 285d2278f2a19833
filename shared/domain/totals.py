"""What one stored result adds to the totals of the whole service."""

from shared.domain.result import Failed, Succeeded

PROVIDER_CALLS = "provider_calls"


def tally(result: Succeeded | Failed) -> dict[str, int]:
    """Name to amount; the store adds it in the step that stores the result, so that nothing counts twice.

    `PROVIDER_CALLS` is the store's to add: a result tells those of earlier results of its id too.
    """
    is_cached = isinstance(result, Succeeded) and result.from_cache is True
    usage = result.usage if isinstance(result, Succeeded) and not is_cached else None
    amounts = {
        f"jobs_{result.status}": 1,
        "cache_hits": int(is_cached),
        "possible_duplicate_charges": int(result.possible_duplicate_charge),
        "prompt_tokens": usage.prompt_tokens if usage else 0,
        "completion_tokens": usage.completion_tokens if usage else 0,
    }
    return {name: amount for name, amount in amounts.items() if amount}
