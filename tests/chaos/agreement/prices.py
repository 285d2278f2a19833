"""What the provider would charge, reckoned without the product: whole numbers of a tenth of a nano-dollar."""

import json
from collections.abc import Mapping

from tests.support.provider_ledger import Call

_TENTHS = 10
# Tenths of nano-dollars a token: input, cached input, output. Even ones, so that no sum ends in half a nano.
_MINI = (1_500, 750, 6_000)
PRICES: Mapping[str, tuple[int, int, int]] = {
    "gpt-4o-mini": _MINI,
    "gpt-4o-mini-2024-07-18": _MINI,
    "gpt-4o": (25_000, 12_500, 100_000),
    "house-1": (374, 102, 1_516),
}
OWN_PRICES = json.dumps({"house-1": {"input": 0.0374, "cached": 0.0102, "output": 0.1516}})
"""`LLM_PRICES`: dollars for a million tokens."""


def nano_dollars(call: Call) -> int | None:
    """To the nearest nano-dollar; None where the price or the tokens are not known."""
    rates = PRICES.get(call.answered_model)
    if rates is None or not call.total_tokens:
        return None
    per_input, per_cached, per_output = rates
    output = max(call.completion_tokens, call.total_tokens - call.prompt_tokens)
    fresh = call.prompt_tokens - call.cached_tokens
    tenths = fresh * per_input + call.cached_tokens * per_cached + output * per_output
    return (tenths + _TENTHS // 2) // _TENTHS
