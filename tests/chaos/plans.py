"""The campaigns that `python -m tests.chaos` runs, long and short."""

from dataclasses import replace

from tests.chaos.faults import freeze_worker, kill_broker, kill_gateway, kill_worker, pause_redis, roll_worker
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

# How soon the jobs of a silent worker go to another; the defaults are 30 s and 20 s.
_QUICK = {"WORKER_SESSION_TIMEOUT_SECONDS": "10", "WORKER_LEASE_SECONDS": "6"}

_KILL = Plan("worker kill -9", kill_worker, jobs=2000, a_second=60, latency_ms=(200, 10_000))
_ROLL = replace(_KILL, fault="worker SIGTERM, replaced", strike=roll_worker)
_FREEZE = replace(_KILL, fault="worker frozen, then thawed", strike=freeze_worker, settings=_QUICK)
_GATEWAY = replace(
    _KILL, fault="gateway kill -9", strike=kill_gateway, gateways=2, retry_refusals=True, patience_seconds=120
)
_REDIS = replace(
    _KILL,
    fault="Redis silent for 5 s",
    strike=pause_redis,
    retry_refusals=True,
    expected_complaint="ERROR result_store_unavailable",
)
_BROKER = replace(_KILL, fault="Kafka kill -9, started again", strike=kill_broker, retry_refusals=True)

# Nobody is refused while Redis is away, and nothing that was accepted is lost with it.
_REDIS_EMPTY = RedisPlan(
    "Redis kill -9, back empty",
    restart_redis,
    jobs=2000,
    a_second=60,
    latency_ms=(200, 10_000),
    expected_complaint="ERROR result_store_unavailable",
)
_REDIS_KILL = replace(_REDIS_EMPTY, fault="Redis kill -9, back with its AOF", redis_options=DURABLE)
_REDIS_MINUTE = replace(
    _REDIS_EMPTY,
    fault="Redis silent for 60 s",
    strike=silence_redis,
    outage_seconds=60,
    patience_seconds=120,
)
_REDIS_SHORT_SILENCE = replace(_REDIS_MINUTE, fault="Redis silent for 15 s", outage_seconds=15)
_SENTINEL = replace(
    _REDIS_EMPTY, fault="Redis master kill -9, Sentinel failover", strike=fail_over, sentinel=True
)
_PUBSUB = replace(
    _REDIS_EMPTY,
    fault="subscriptions cut every second for 10 s",
    strike=cut_subscriptions,
    expected_complaint="",
)
_REDIS_FULL = replace(_REDIS_EMPTY, fault="Redis full for 5 s, noeviction", strike=fill_redis)

LONG: dict[str, Plan] = {
    "kill": _KILL,
    "roll": _ROLL,
    "freeze": _FREEZE,
    "gateway": _GATEWAY,
    "redis": _REDIS,
    "broker": _BROKER,
    "redis-kill": _REDIS_KILL,
    "redis-empty": _REDIS_EMPTY,
    "redis-60s": _REDIS_MINUTE,
    "sentinel": _SENTINEL,
    "pubsub": _PUBSUB,
    "redis-full": _REDIS_FULL,
}


def _shortened(plan: Plan) -> Plan:
    """For CI: shorter calls at a higher rate, for as long as it takes to lose a worker and get another."""
    return replace(plan, jobs=1800, a_second=90, latency_ms=(200, 6000), settings=_QUICK)


SHORT = {name: _shortened(plan) for name, plan in LONG.items()}
SHORT["redis-60s"] = _shortened(_REDIS_SHORT_SILENCE)
