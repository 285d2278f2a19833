"""Campaigns in which Redis fails: nobody is refused meanwhile, and nothing accepted is lost with it."""

from dataclasses import replace

from tests.chaos.redis_faults import (
    RedisPlan,
    cut_subscriptions,
    fail_over,
    fill_redis,
    restart_redis,
    silence_redis,
)
from tests.chaos.scene import Plan
from tests.support.redis_process import DURABLE

_REDIS_EMPTY = RedisPlan(
    "Redis kill -9, back empty",
    restart_redis,
    jobs=2000,
    a_second=60,
    latency_ms=(200, 10_000),
)
_REDIS_KILL = replace(_REDIS_EMPTY, fault="Redis kill -9, back with its AOF", redis_options=DURABLE)
_REDIS_MINUTE = replace(
    _REDIS_EMPTY,
    fault="Redis silent for 60 s",
    strike=silence_redis,
    outage_seconds=60,
    patience_seconds=120,
)
_SENTINEL = replace(
    _REDIS_EMPTY, fault="Redis master kill -9, Sentinel failover", strike=fail_over, sentinel=True
)
_PUBSUB = replace(
    _REDIS_EMPTY,
    fault="subscriptions cut every second for 10 s",
    strike=cut_subscriptions,
)
_REDIS_FULL = replace(_REDIS_EMPTY, fault="Redis full for 5 s, noeviction", strike=fill_redis)

REDIS_PLANS: dict[str, Plan] = {
    "redis-kill": _REDIS_KILL,
    "redis-empty": _REDIS_EMPTY,
    "redis-60s": _REDIS_MINUTE,
    "sentinel": _SENTINEL,
    "pubsub": _PUBSUB,
    "redis-full": _REDIS_FULL,
}
REDIS_PLANS_IN_SHORT: dict[str, Plan] = {
    **REDIS_PLANS,
    "redis-60s": replace(_REDIS_MINUTE, fault="Redis silent for 15 s", outage_seconds=15),
}
