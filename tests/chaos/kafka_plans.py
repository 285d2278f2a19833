"""The campaigns against Kafka, each on a cluster of its own."""

from dataclasses import dataclass, replace

from tests.chaos.kafka_faults import (
    duplicate_records,
    expired_records,
    force_rebalances,
    kill_coordinator,
    lose_broker_and_disk,
    move_leaders,
    reset_offsets,
    restart_each_broker,
    slow_broker,
)
from tests.chaos.scene import Plan
from tests.support.apache_kafka import ApacheKafka
from tests.support.kafka_brokers import find_kafka_distribution
from tests.support.kafka_properties import QUICK_FENCING
from tests.support.proxied_kafka import ProxiedKafka
from tests.support.server import AnyKafka

_EAGER_LEADERS = {"leader.imbalance.check.interval.seconds": "1"}


@dataclass(frozen=True)
class KafkaPlan(Plan):
    """A campaign that does things to Kafka which nobody else should have to live with."""

    kafka_nodes: int = 3
    kafka_behind_proxies: bool = False

    def kafka(self) -> AnyKafka:
        """The cluster it wants, not started; raises `Unavailable`."""
        properties = QUICK_FENCING | _EAGER_LEADERS if self.kafka_nodes > 1 else {}
        kafka = ApacheKafka(find_kafka_distribution(), nodes=self.kafka_nodes, properties=properties)
        return ProxiedKafka(kafka) if self.kafka_behind_proxies else kafka


_KILL = KafkaPlan(
    "1 of 3 Kafka nodes kill -9, back",
    kill_coordinator,
    jobs=2000,
    a_second=60,
    latency_ms=(200, 10_000),
    retry_refusals=True,
    settings={"KAFKA_REPLICATION_FACTOR": "3"},
)

KAFKA = {
    "kafka-kill-1-of-3": _KILL,
    "kafka-roll": replace(_KILL, fault="3 Kafka nodes restarted in turn", strike=restart_each_broker),
    "leaders": replace(_KILL, fault="leaders moved every 3 s", strike=move_leaders),
    "rebalances": replace(_KILL, fault="a rebalance every 2.5 s", strike=force_rebalances),
    "slow-broker": replace(
        _KILL, fault="Kafka 0.2 s slow, then still for 5 s", strike=slow_broker, kafka_behind_proxies=True
    ),
    "duplicates": replace(_KILL, fault="each record produced twice", strike=duplicate_records),
    "expired": replace(_KILL, fault="records past their expiry", strike=expired_records),
    "reset": replace(_KILL, fault="offsets reset, every record again", strike=reset_offsets),
    "disk-full": replace(
        _KILL,
        fault="Kafka away for 25 s, log disk full",
        strike=lose_broker_and_disk,
        kafka_nodes=1,
        settings={"LLM_LOG_FILE": "/dev/full"},
        expected_complaint="ERROR event_file_unwritable",
    ),
}
