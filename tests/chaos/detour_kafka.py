"""Apache Kafka with a second listener that is reached through a proxy, so that one client can be cut off."""

from tests.support.apache_kafka import ApacheKafka
from tests.support.availability import first_available
from tests.support.containers import ContainerKafka
from tests.support.kafka_brokers import ExternalKafka
from tests.support.kafka_distribution import KafkaDistribution, local_distribution, maven_distribution
from tests.support.ports import free_port
from tests.support.server import AnyKafka
from tests.support.tcp_proxy import TcpProxy


class DetourKafka(ApacheKafka):
    """One node. Who asks for brokers through the proxy is told the proxy's address again."""

    def __init__(self, distribution: KafkaDistribution) -> None:
        super().__init__(distribution)
        self._detour_port, self._proxy_port = free_port(), free_port()
        direct, controller = self._ports[1], self._controllers[1]
        self._properties |= {
            "listeners": f"PLAINTEXT://127.0.0.1:{direct},DETOUR://127.0.0.1:{self._detour_port},"
            f"CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{direct},DETOUR://127.0.0.1:{self._proxy_port}",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,DETOUR:PLAINTEXT",
        }

    def detour(self) -> TcpProxy:
        """The way in; one at a time."""
        proxy = TcpProxy("127.0.0.1", self._detour_port)
        proxy.port = self._proxy_port
        return proxy


def find_detour_kafka() -> AnyKafka:
    """The real thing only, with a detour where it is started here."""
    return first_available(
        ExternalKafka,
        lambda: DetourKafka(local_distribution()),
        lambda: DetourKafka(maven_distribution()),
        ContainerKafka,
    )
