"""What FastStream's broker is told of a secured Kafka."""

from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from shared.kafka_security import KafkaSecurity

_SASL = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}


def broker_security(security: KafkaSecurity) -> BaseSecurity:
    """The same connection as every other one of this process."""
    if not security.has_password:
        return BaseSecurity(ssl_context=security.tls)
    return _SASL[security.mechanism](
        username=security.username, password=security.password, ssl_context=security.tls
    )
