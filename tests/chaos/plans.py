"""The campaigns that `python -m tests.chaos` runs, long and short."""

from dataclasses import replace

from tests.chaos.catalogue import CATALOGUE, CLUSTER_CATALOGUE, draw_schedule
from tests.chaos.clock_fault import NO_SHORT_DEADLINES, jump_clock
from tests.chaos.cluster_plan import ClusterPlan
from tests.chaos.faults import freeze_worker, kill_broker, kill_gateway, kill_worker, pause_redis, roll_worker
from tests.chaos.kafka_plans import KAFKA
from tests.chaos.precise_faults import (
    kill_gateway_before_produce,
    kill_worker_before_call,
    kill_worker_before_commit,
    kill_worker_before_store,
)
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
)
_BROKER = replace(_KILL, fault="Kafka kill -9, started again", strike=kill_broker, retry_refusals=True)

_CLOCK = replace(
    _KILL, fault="a worker's clock 60 s ahead, then behind", strike=jump_clock, mix=NO_SHORT_DEADLINES
)
_BEFORE_CALL = replace(_KILL, fault="worker kill -9 before its calls", strike=kill_worker_before_call)
_BEFORE_STORE = replace(_KILL, fault="worker kill -9 before it stores", strike=kill_worker_before_store)
_BEFORE_COMMIT = replace(_KILL, fault="worker kill -9 before it commits", strike=kill_worker_before_commit)
_BEFORE_PRODUCE = replace(
    _GATEWAY, fault="gateway kill -9 before it enqueues", strike=kill_gateway_before_produce, gateways=1
)
# A lease that outlives the silence of Redis: else the next fault finds jobs that nobody holds.
_ENDURING = {"WORKER_SESSION_TIMEOUT_SECONDS": "10", "WORKER_LEASE_SECONDS": "12", "WORKER_MAX_RUNS": "10"}
_MIXED = replace(
    _KILL,
    fault="mixed faults",
    jobs=9000,
    gateways=2,
    retry_refusals=True,
    patience_seconds=120,
    settings=_ENDURING,
)
_FLOOD = ClusterPlan(
    fault="mixed faults, 3 Kafka nodes, Sentinel, answers in 1-20 ms",
    strike=kill_worker,
    jobs=100_000,
    a_second=1000,
    latency_ms=(1, 20),
    in_flight=0,
    most_unread=2_000,
    gateways=2,
    retry_refusals=True,
    patience_seconds=120,
    settings={**_ENDURING, "KAFKA_REPLICATION_FACTOR": "3"},
)

LONG: dict[str, Plan] = {
    "kill": _KILL,
    "roll": _ROLL,
    "freeze": _FREEZE,
    "gateway": _GATEWAY,
    "redis": _REDIS,
    "broker": _BROKER,
    "clock": _CLOCK,
    "before-call": _BEFORE_CALL,
    "before-store": _BEFORE_STORE,
    "before-commit": _BEFORE_COMMIT,
    "before-produce": _BEFORE_PRODUCE,
    **KAFKA,
    **REDIS_PLANS,
    **PROVIDER_PLANS,
    "mixed": _MIXED,
    "flood": _FLOOD,
}
SEEDED = {"mixed": CATALOGUE, "flood": CLUSTER_CATALOGUE}


def _shortened(plan: Plan) -> Plan:
    """For CI: shorter calls at a higher rate, for as long as it takes to lose a worker and get another."""
    return replace(plan, jobs=1800, a_second=90, latency_ms=(200, 6000), settings={**_QUICK, **plan.settings})


SHORT: dict[str, Plan] = {
    **{name: _shortened(plan) for name, plan in (LONG | REDIS_PLANS_IN_SHORT).items()},
    **PROVIDER_PLANS,
    "mixed": replace(_shortened(_MIXED), jobs=5400, settings=_ENDURING),
    "flood": replace(_FLOOD, jobs=12_000),
}


def seeded(name: str, plan: Plan, seed: int) -> Plan:
    """The same kinds of jobs and the same faults in the same order for the same seed."""
    return replace(plan, seed=seed, schedule=draw_schedule(seed, SEEDED[name]))
