"""The campaigns that `python -m tests.chaos` runs, long and short."""

from dataclasses import replace

from tests.chaos.faults import freeze_worker, kill_broker, kill_gateway, kill_worker, pause_redis, roll_worker
from tests.chaos.provider_plans import PROVIDER_PLANS
from tests.chaos.redis_plans import REDIS_PLANS, REDIS_PLANS_IN_SHORT
from tests.chaos.scene import Plan

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

LONG: dict[str, Plan] = {
    "kill": _KILL,
    "roll": _ROLL,
    "freeze": _FREEZE,
    "gateway": _GATEWAY,
    "redis": _REDIS,
    "broker": _BROKER,
}


def _shortened(plan: Plan) -> Plan:
    """For CI: shorter calls at a higher rate, for as long as it takes to lose a worker and get another."""
    return replace(plan, jobs=1800, a_second=90, latency_ms=(200, 6000), settings=_QUICK)


SHORT = {name: _shortened(plan) for name, plan in LONG.items()}

SHORT |= {name: _shortened(plan) for name, plan in REDIS_PLANS_IN_SHORT.items()} | PROVIDER_PLANS
LONG |= REDIS_PLANS | PROVIDER_PLANS
