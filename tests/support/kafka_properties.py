"""The settings of one KRaft node: a combined broker and controller on loopback, in plain text."""

from collections.abc import Mapping
from pathlib import Path

_REPLICAS = 3

QUICK_FENCING = {"broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500"}
"""A killed node is noticed, and may come back, after 3 s instead of 9: `ApacheKafka(..., properties=...)`."""

_QUICK_START = {
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "4",
    "log.cleaner.dedupe.buffer.size": "4194304",  # 128 MB by default, a quarter of this heap
}


def kafka_properties(
    node: int,
    data: Path,
    ports: Mapping[int, int],
    advertised: Mapping[int, int],
    controllers: Mapping[int, int],
) -> dict[str, str]:
    voters = ",".join(f"{voter}@127.0.0.1:{port}" for voter, port in controllers.items())
    return {
        "process.roles": "broker,controller",
        "node.id": f"{node}",
        "controller.quorum.voters": voters,
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://127.0.0.1:{ports[node]},CONTROLLER://127.0.0.1:{controllers[node]}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{advertised[node]}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": f"{data}",
        **_QUICK_START,
        **_replication(min(_REPLICAS, len(ports))),
    }


def _replication(replicas: int) -> dict[str, str]:
    in_sync = max(1, replicas - 1)
    return {
        "default.replication.factor": f"{replicas}",
        "min.insync.replicas": f"{in_sync}",
        "offsets.topic.replication.factor": f"{replicas}",
        "transaction.state.log.replication.factor": f"{replicas}",
        "transaction.state.log.min.isr": f"{in_sync}",
        "share.coordinator.state.topic.replication.factor": f"{replicas}",
        "share.coordinator.state.topic.min.isr": f"{in_sync}",
    }
