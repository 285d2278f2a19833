"""Why Kafka lets us not in. aiokafka only says that no broker could be reached."""

import logging
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka.conn import AIOKafkaConnection, collect_hosts, create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest
from loguru import logger

from shared.kafka_security import KafkaSecurity

_TRY_MS = 5_000
_SAY_AGAIN_SECONDS = 60.0
_HUNG_UP = (KafkaConnectionError, ConnectionResetError, ConnectionAbortedError, ssl.SSLError)


class KafkaRefused(KafkaError):  # type: ignore[misc] # aiokafka is untyped
    """Trying again would not help; the message is one line for who runs the service."""

    retriable = False

    def __str__(self) -> str:
        return str(self.args[0])


async def find_refusal(bootstrap_servers: str, security: KafkaSecurity) -> str | None:
    """What the first broker that answers has against us; raises `KafkaRefused` if that is for good."""
    for host, port, _ in collect_hosts(bootstrap_servers):
        try:
            connection = await create_conn(
                host, port, request_timeout_ms=_TRY_MS, **security.client_options()
            )
        except (KafkaError, OSError, TimeoutError) as fault:
            if (why := refusal_in(fault, security)) is not None:
                raise KafkaRefused(f"Kafka at {host}:{port} {why}") from fault
            if isinstance(fault, _HUNG_UP):
                return _hangs_up(security)
        else:
            return await _greeted(connection, security)
    return None


async def _greeted(connection: AIOKafkaConnection, security: KafkaSecurity) -> str | None:
    """A broker that wants a password takes a greeting without one, and hangs up at the first question."""
    try:
        await connection.send(MetadataRequest([]))
    except (KafkaError, TimeoutError):
        return _hangs_up(security)
    else:
        return None
    finally:
        await connection.close()


def _hangs_up(security: KafkaSecurity) -> str:
    """It may also be on its way up or down."""
    return f"it hangs up; does it expect another KAFKA_SECURITY_PROTOCOL than {security.protocol}?"


@asynccontextmanager
async def refusals_explained(bootstrap_servers: str, security: KafkaSecurity) -> AsyncIterator[None]:
    """The block starts a client; if no broker lets it in, the error says why."""
    try:
        yield
    except KafkaConnectionError as fault:
        if (why := await find_refusal(bootstrap_servers, security)) is not None:
            raise KafkaRefused(f"Kafka at {bootstrap_servers}: {why}") from fault
        raise


def refusal_in(fault: BaseException, security: KafkaSecurity) -> str | None:
    """In words, if the fault or its cause is a refusal."""
    match fault:
        case SaslAuthenticationFailed():
            return f"refuses KAFKA_SASL_USERNAME={security.username!r} with its KAFKA_SASL_PASSWORD"
        case UnsupportedSaslMechanismError():
            return f"does not offer KAFKA_SASL_MECHANISM={security.mechanism}"
        case IllegalSaslStateError():
            return (
                f"takes no password there: KAFKA_SECURITY_PROTOCOL={security.protocol} is not what it expects"
            )
        case ssl.SSLCertVerificationError():
            why = fault.verify_message or str(fault)
            return f"shows a certificate that is not trusted (KAFKA_SSL_CA_FILE): {why}"
        case ssl.SSLError() if fault.reason is not None:
            return _tls_refusal(fault.reason, security)
        case KafkaConnectionError() if fault.__cause__ is not None:
            return refusal_in(fault.__cause__, security)
    return None


def _tls_refusal(reason: str, security: KafkaSecurity) -> str | None:
    if "ALERT" in reason:
        said = reason.rsplit("ALERT_", maxsplit=1)[-1].replace("_", " ").lower()
        return f"refuses the certificate in KAFKA_SSL_CERT_FILE, or wants one: {said}"
    if reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"}:
        return f"speaks no TLS there: KAFKA_SECURITY_PROTOCOL={security.protocol} is not what it expects"
    return None


def hear_refusals_alone(security: KafkaSecurity) -> None:
    """Of what the client library logs. That a broker is away, our own lines say; not that it refuses."""
    client = logging.getLogger("aiokafka")
    client.setLevel(logging.ERROR)
    client.propagate = False
    client.handlers[:] = [_Refusals(security)]


class _Refusals(logging.Handler):
    """At most one line a minute."""

    def __init__(self, security: KafkaSecurity) -> None:
        super().__init__()
        self._security = security
        self._say_at = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        arguments = record.args if isinstance(record.args, tuple) else ()
        refusals = (refusal_in(a, self._security) for a in arguments if isinstance(a, BaseException))
        why = next(filter(None, refusals), None)
        if why is not None and time.monotonic() >= self._say_at:
            self._say_at = time.monotonic() + _SAY_AGAIN_SECONDS
            logger.bind(fault=f"Kafka {why}").error("kafka_refuses")
