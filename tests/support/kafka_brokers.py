"""Which Kafka this machine can run; an address given in the environment goes before everything else."""

import os

from tests.support.apache_kafka import ApacheKafka
from tests.support.availability import Unavailable, first_available
from tests.support.containers import ContainerKafka, asked_for
from tests.support.kafka_distribution import KafkaDistribution, local_distribution, maven_distribution
from tests.support.noida_kafka import NoidaKafka
from tests.support.server import AnyKafka

ADDRESS_VARIABLE = "TEST_KAFKA_BOOTSTRAP_SERVERS"


class ExternalKafka(AnyKafka):
    """Somebody else's broker: never started, stopped or emptied from here."""

    def __init__(self) -> None:
        self._address = os.environ.get(ADDRESS_VARIABLE, "")
        if not self._address:
            raise Unavailable(f"{ADDRESS_VARIABLE} is not set")

    @property
    def bootstrap_servers(self) -> str:
        return self._address

    @property
    def name(self) -> str:
        return f"Kafka from {ADDRESS_VARIABLE}"

    def start(self) -> None: ...

    def stop(self) -> None: ...


def find_kafka() -> AnyKafka:
    """The quickest that is here: for what any Kafka can show."""
    return first_available(
        ExternalKafka, asked_for(ContainerKafka), _local_kafka, NoidaKafka, _maven_kafka, ContainerKafka
    )


def find_apache_kafka() -> AnyKafka:
    """The real thing only: for loss, rebalance, durability and security."""
    return first_available(
        ExternalKafka, asked_for(ContainerKafka), _local_kafka, _maven_kafka, ContainerKafka
    )


def find_kafka_distribution() -> KafkaDistribution:
    """For brokers of a test's own: `ApacheKafka(find_kafka_distribution(), nodes=3)`."""
    return first_available(local_distribution, maven_distribution)


def _local_kafka() -> ApacheKafka:
    return ApacheKafka(local_distribution())


def _maven_kafka() -> ApacheKafka:
    return ApacheKafka(maven_distribution())
