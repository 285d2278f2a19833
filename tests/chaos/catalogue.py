"""The faults that `mixed` and `flood` (on a cluster) draw from, and the schedule that a seed makes of them.

A fault joins by a line here. It must leave the service as it found it: two workers, every gateway answering.
"""

import random
from collections.abc import Mapping

from tests.chaos.faults import (
    freeze_worker,
    kill_broker,
    kill_gateway,
    kill_worker,
    pause_redis,
    roll_everything,
)
from tests.chaos.kafka_faults import kill_coordinator
from tests.chaos.precise_faults import (
    kill_gateway_before_produce,
    kill_worker_before_call,
    kill_worker_before_commit,
    kill_worker_before_store,
)
from tests.chaos.redis_faults import fail_over
from tests.chaos.scene import Fault, Planned

CATALOGUE: dict[str, Fault] = {
    "worker killed in the call": kill_worker,
    "worker killed before the call": kill_worker_before_call,
    "worker killed before the store": kill_worker_before_store,
    "worker killed before the commit": kill_worker_before_commit,
    "worker frozen": freeze_worker,
    "everything rolled": roll_everything,
    "gateway killed": kill_gateway,
    "gateway killed before the record": kill_gateway_before_produce,
    "Redis silent": pause_redis,
    "Kafka killed": kill_broker,
}
# Without deaths between two steps, which need calls that last.
CLUSTER_CATALOGUE: dict[str, Fault] = {
    "worker killed in the call": kill_worker,
    "worker frozen": freeze_worker,
    "everything rolled": roll_everything,
    "gateway killed": kill_gateway,
    "Redis master killed": fail_over,
    "Kafka node killed": kill_coordinator,
}
_ROUNDS = 20
_PAUSE_SECONDS = (0.0, 6.0)


def draw_schedule(seed: int, catalogue: Mapping[str, Fault] = CATALOGUE) -> list[Planned]:
    """Every fault once in random order, then every fault again in another."""
    chance = random.Random(seed)
    names = [name for _ in range(_ROUNDS) for name in chance.sample([*catalogue], len(catalogue))]
    return [Planned(name, catalogue[name], round(chance.uniform(*_PAUSE_SECONDS), 1)) for name in names]
