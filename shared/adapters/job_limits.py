"""The limits of the settings over the stores there are."""

from collections.abc import Awaitable, Callable, Mapping

from shared.adapters.fallback_limiter import FallbackLimiter
from shared.adapters.memory_limiter import MemoryLimiter
from shared.adapters.redis_limiter import RedisLimiter
from shared.adapters.redis_result_store import RedisResultStore
from shared.domain.limits import LimitTable
from shared.domain.prices import OwnPrice
from shared.limits import JobLimits, Limiter, Price


def memory_limits(table: LimitTable, own_prices: Mapping[str, OwnPrice]) -> JobLimits | None:
    """In one process without Redis; None if nobody has a limit."""
    return _limits(table, own_prices, MemoryLimiter())


def redis_limits(
    table: LimitTable,
    own_prices: Mapping[str, OwnPrice],
    store: RedisResultStore,
    is_available: Callable[[], Awaitable[bool]],
    memory: MemoryLimiter | None,
) -> JobLimits | None:
    """Beside the results, so that a hold's end and a result share a round trip."""
    return _limits(table, own_prices, FallbackLimiter(RedisLimiter(store.batches), memory, is_available))


def _limits(table: LimitTable, own_prices: Mapping[str, OwnPrice], limiter: Limiter) -> JobLimits | None:
    return None if table.is_empty() else JobLimits(table, limiter, _price(table, own_prices))


def _price(table: LimitTable, own_prices: Mapping[str, OwnPrice]) -> Price:
    if not any(limits.dollars_per_day for limits in (table.default, *table.of_owner.values())):
        return lambda *_: None
    # A gateway that counts no dollars does not load the price list: a third of a second and 30 MB.
    from shared.prices import Prices  # noqa: PLC0415

    prices = Prices(own_prices)
    return lambda model, prompt, completion: prices.cost_usd((model,), prompt, completion)
