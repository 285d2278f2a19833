"""Apache Kafka as people run it: SASL over TLS, client certificates, and nobody has a right by himself."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from shutil import rmtree

from tests.support.apache_kafka import ApacheKafka
from tests.support.certificates import TestAuthority
from tests.support.kafka_brokers import find_kafka_distribution
from tests.support.ports import free_port
from tests.support.server import AnyKafka

USERS = {name: f"{name}-CANARY-secret" for name in ("gateway", "worker", "operator", "nobody")}
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"


class SecuredKafka(AnyKafka):
    """`bootstrap_servers` is the operator's own listener, in the clear, where everything is allowed."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="kafka-tls-"))
        self.authority = TestAuthority(self._folder)
        self.ports = {name: free_port() for name in ("SASL_SSL", "SSL", "SASL_PLAINTEXT")}
        self._plain = free_port()
        self._kafka = ApacheKafka(find_kafka_distribution(), properties=self._properties(), scram_users=USERS)

    @property
    def name(self) -> str:
        return f"{self._kafka.name} with SASL, TLS and ACLs"

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self._plain}"

    def start(self) -> None:
        self._kafka.start()

    def stop(self) -> None:
        self._kafka.stop()
        rmtree(self._folder, ignore_errors=True)

    def with_password(
        self, user: str, mechanism: str = "SCRAM-SHA-512", protocol: str = "SASL_SSL"
    ) -> dict[str, str]:
        """The settings of a process."""
        settings = {
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{self.ports[protocol]}",
            "KAFKA_SECURITY_PROTOCOL": protocol,
            "KAFKA_SASL_MECHANISM": mechanism,
            "KAFKA_SASL_USERNAME": user,
            "KAFKA_SASL_PASSWORD": USERS[user],
        }
        return settings | ({"KAFKA_SSL_CA_FILE": str(self.authority.ca)} if protocol == "SASL_SSL" else {})

    def with_certificate(self, common_name: str) -> dict[str, str]:
        """The settings of a process."""
        certificate, key = self.authority.issue(common_name)
        return {
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{self.ports['SSL']}",
            "KAFKA_SECURITY_PROTOCOL": "SSL",
            "KAFKA_SSL_CA_FILE": str(self.authority.ca),
            "KAFKA_SSL_CERT_FILE": str(certificate),
            "KAFKA_SSL_KEY_FILE": str(key),
        }

    def _properties(self) -> Mapping[str, str]:
        controller = free_port()
        listeners = {"PLAINTEXT": self._plain, **self.ports}
        told = ",".join(f"{name}://127.0.0.1:{port}" for name, port in listeners.items())
        store = self.authority.issue_in_one_file("broker")
        return {
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"{told},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": told,
            "listener.security.protocol.map": f"CONTROLLER:PLAINTEXT,{_same(listeners)}",
            "inter.broker.listener.name": "PLAINTEXT",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(store),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.authority.ca),
            "listener.name.ssl.ssl.client.auth": "required",
            **dict(_sasl("sasl_ssl")),
            **dict(_sasl("sasl_plaintext")),
        }


def _same(listeners: Mapping[str, int]) -> str:
    return ",".join(f"{name}:{name}" for name in listeners)


def _sasl(listener: str) -> Iterator[tuple[str, str]]:
    prefix = f"listener.name.{listener}"
    yield f"{prefix}.sasl.enabled.mechanisms", "SCRAM-SHA-512,SCRAM-SHA-256,PLAIN"
    for mechanism in ("scram-sha-512", "scram-sha-256"):
        yield f"{prefix}.{mechanism}.sasl.jaas.config", f"{_SCRAM} required;"
    users = " ".join(f'user_{name}="{password}"' for name, password in USERS.items())
    yield f"{prefix}.plain.sasl.jaas.config", f"{_PLAIN} required {users};"
