"""How every connection to Kafka is encrypted, and who it says it is."""

import ssl
from dataclasses import dataclass, field
from typing import Any, Literal

from shared.tls_files import TlsFiles

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


@dataclass(frozen=True)
class KafkaSecurity:
    """The same for every client of a process."""

    protocol: Protocol = "PLAINTEXT"
    mechanism: Mechanism = "SCRAM-SHA-512"
    username: str = ""
    password: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = None

    @property
    def has_password(self) -> bool:
        return self.protocol.startswith("SASL_")

    @property
    def user(self) -> str:
        """Whose rights a refusal is about."""
        return f"user {self.username!r}" if self.has_password else "this client"

    def client_options(self) -> dict[str, Any]:
        """As aiokafka's clients take them."""
        options: dict[str, Any] = {"security_protocol": self.protocol, "ssl_context": self.tls}
        if self.has_password:
            options |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return options


PLAINTEXT = KafkaSecurity()


def make_kafka_security(
    protocol: Protocol, mechanism: Mechanism, username: str, password: str, files: TlsFiles
) -> KafkaSecurity:
    """Raises ValueError in one line for what contradicts itself."""
    _check_password(protocol, username, password)
    encrypts = protocol in {"SSL", "SASL_SSL"}
    if not encrypts and files.given:
        raise ValueError(
            f"{files.given[0]} is set, but KAFKA_SECURITY_PROTOCOL={protocol} encrypts nothing; "
            "allowed: SSL or SASL_SSL with it"
        )
    return KafkaSecurity(protocol, mechanism, username, password, files.context() if encrypts else None)


def _check_password(protocol: Protocol, username: str, password: str) -> None:
    wants = protocol.startswith("SASL_")
    for name, value in (("KAFKA_SASL_USERNAME", username), ("KAFKA_SASL_PASSWORD", password)):
        if wants and not value:
            raise ValueError(
                f"{name} is not set, but KAFKA_SECURITY_PROTOCOL={protocol} signs in with it; "
                "allowed: SSL or PLAINTEXT without it"
            )
        if value and not wants:
            raise ValueError(
                f"{name} is set, but KAFKA_SECURITY_PROTOCOL={protocol} signs nobody in; "
                "allowed: SASL_SSL or SASL_PLAINTEXT with it"
            )
