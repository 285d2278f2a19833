"""What a provider call costs in dollars. None where the price is not known, never 0.

The prices are those that genai-prices was released with (nothing is fetched), the operator's own before them.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain

from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelPrice, Tier, TieredPrices

from shared.domain.prices import OwnPrice

_MILLION = 1_000_000
_NANO_DIGITS = 9
"""A price is a whole number of nano-dollars wherever it is told, so sums of it agree exactly."""
_REFRESH_SECONDS = 900
"""Some prices hold for hours of the day, and new ones begin at midnight."""
_MOST_MODELS = 1024
"""A provider may answer with any name."""

_Rates = tuple[int, float, float, float]
"""Above so many prompt tokens: dollars a token of input, output and cached input."""


class Prices:
    """The prices of one provider."""

    def __init__(self, own: Mapping[str, OwnPrice], provider_url: str = "") -> None:
        self._own: dict[str, Sequence[_Rates]] = {model: (_own_rates(price),) for model, price in own.items()}
        self._provider = _provider_id(provider_url)
        self._known = lru_cache(_MOST_MODELS)(self._look_up)

    def cost_usd(
        self, models: Sequence[str], prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0
    ) -> float | None:
        """`models`: the names that the model goes by, the surest first.

        `cached_tokens` are a part of the prompt's, reasoning is a part of the completion.
        """
        cached = min(cached_tokens, prompt_tokens)
        for above, per_input, per_output, per_cached in self._rates_of(models) or ():
            if prompt_tokens > above:
                input_usd = (prompt_tokens - cached) * per_input + cached * per_cached
                return round(input_usd + completion_tokens * per_output, _NANO_DIGITS)
        return None

    def _rates_of(self, models: Sequence[str]) -> Sequence[_Rates] | None:
        period = int(time.time() // _REFRESH_SECONDS)
        own = (self._own.get(model) for model in models)
        known = (self._known(model, period) for model in models)
        return next((rates for rates in chain(own, known) if rates is not None), None)

    def _look_up(self, model: str, _period: int) -> Sequence[_Rates] | None:
        try:
            _, known = get_snapshot().find_provider_model(model, None, self._provider, None)
        except LookupError:
            return None
        return _rates(known.get_prices(datetime.now(UTC)))


def _provider_id(url: str) -> str:
    """A server that nobody knows is taken for a way to OpenAI: models of other names have no price there."""
    try:
        return get_snapshot().find_provider(None, None, url).id if url else _OPENAI
    except LookupError:
        return _OPENAI


_OPENAI = "openai"


def _own_rates(price: OwnPrice) -> _Rates:
    cached = price.input if price.cached is None else price.cached
    return (-1, price.input / _MILLION, price.output / _MILLION, cached / _MILLION)


def _rates(price: ModelPrice) -> Sequence[_Rates] | None:
    """Every tier, the highest first; None if input or output has no price."""
    per_input, per_output = price.input_mtok, price.output_mtok
    if per_input is None or per_output is None:
        return None
    per_cached = price.cache_read_mtok if price.cache_read_mtok is not None else per_input
    kinds = (per_input, per_output, per_cached)
    starts = {-1, *(tier.start for kind in kinds for tier in _tiers(kind))}
    return [(start, *(_at(kind, start) for kind in kinds)) for start in sorted(starts, reverse=True)]  # type: ignore[misc]


def _tiers(price: object) -> list[Tier]:
    return price.tiers if isinstance(price, TieredPrices) else []


def _at(price: object, start: int) -> float:
    for tier in reversed(_tiers(price)):
        if start >= tier.start:
            return float(tier.price) / _MILLION
    base = price.base if isinstance(price, TieredPrices) else price
    return float(base) / _MILLION  # type: ignore[arg-type]
