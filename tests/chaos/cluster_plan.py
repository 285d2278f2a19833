"""Three Kafka nodes, and Redis with Sentinel: what people run where nothing may be lost."""

from dataclasses import dataclass

from tests.chaos.kafka_plans import KafkaPlan
from tests.chaos.redis_faults import RedisPlan


@dataclass(frozen=True)
class ClusterPlan(KafkaPlan, RedisPlan):
    """A campaign in which nodes of both may die."""

    sentinel: bool = True
