"""What a Kafka that lets us not in is said to have against us: once if that is for good, else as a hint."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from shared.adapters.kafka_producer import connect_kafka_producer
from shared.adapters.kafka_refusal import KafkaRefused, find_refusal
from shared.adapters.kafka_topics import ensure_topics
from shared.kafka_security import PLAINTEXT, KafkaSecurity
from shared.settings import ServiceSettings
from tests.support.certificates import TestAuthority
from tests.support.kafka_acls import Acl, allow
from tests.support.secured_kafka import SecuredKafka
from tests.support.server import AnyKafka

TRUST = "KAFKA_SSL_CA_FILE"


def security(settings: Mapping[str, str]) -> KafkaSecurity:
    fields: dict[str, Any] = {name.lower(): value for name, value in settings.items()}
    return ServiceSettings(_env_file=None, **fields).kafka_security()


async def refusal(settings: Mapping[str, str]) -> str:
    """Raised at once, whatever the patience."""
    brokers = settings["KAFKA_BOOTSTRAP_SERVERS"]
    with pytest.raises(KafkaRefused) as raised:
        await ensure_topics(brokers, ["any"], partitions=1, replication_factor=1, security=security(settings))
    return str(raised.value)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_a_wrong_password(secured_kafka: SecuredKafka, mechanism: str) -> None:
    settings = secured_kafka.with_password("worker", mechanism) | {"KAFKA_SASL_PASSWORD": "CANARY-wrong"}
    told = await refusal(settings)
    assert told.endswith("refuses KAFKA_SASL_USERNAME='worker' with its KAFKA_SASL_PASSWORD")


async def test_an_authority_that_is_not_trusted(secured_kafka: SecuredKafka, tmp_path: Path) -> None:
    stranger = TestAuthority(tmp_path)
    told = await refusal(secured_kafka.with_password("worker") | {TRUST: str(stranger.ca)})
    assert "shows a certificate that is not trusted (KAFKA_SSL_CA_FILE)" in told


async def test_the_systems_authorities_where_they_did_not_sign(secured_kafka: SecuredKafka) -> None:
    told = await refusal(secured_kafka.with_password("worker") | {TRUST: ""})
    assert "shows a certificate that is not trusted (KAFKA_SSL_CA_FILE)" in told


@pytest.mark.parametrize("kind", ["none", "a stranger's", "expired"])
async def test_an_own_certificate_that_brokers_do_not_take(
    secured_kafka: SecuredKafka, tmp_path: Path, kind: str
) -> None:
    settings = secured_kafka.with_certificate("worker")
    if kind == "none":
        files = {"KAFKA_SSL_CERT_FILE": "", "KAFKA_SSL_KEY_FILE": ""}
    else:
        authority = secured_kafka.authority if kind == "expired" else TestAuthority(tmp_path)
        lasts = timedelta(hours=-1 if kind == "expired" else 1)
        certificate, key = authority.issue(f"late-{uuid4().hex[:8]}", lasts=lasts)
        files = {"KAFKA_SSL_CERT_FILE": str(certificate), "KAFKA_SSL_KEY_FILE": str(key)}
    told = await refusal(settings | files)
    assert "refuses the certificate in KAFKA_SSL_CERT_FILE, or wants one" in told


async def test_a_password_for_who_wants_none(secured_kafka: SecuredKafka) -> None:
    settings = secured_kafka.with_password("worker", protocol="SASL_PLAINTEXT")
    told = await refusal(settings | {"KAFKA_BOOTSTRAP_SERVERS": secured_kafka.bootstrap_servers})
    assert "takes no password there: KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT" in told


@pytest.mark.parametrize("listener", ["SASL_SSL", "SSL", "SASL_PLAINTEXT"])
async def test_another_protocol_is_a_hint_because_it_may_be_a_broker_on_its_way_up(
    secured_kafka: SecuredKafka, listener: str
) -> None:
    told = await find_refusal(f"127.0.0.1:{secured_kafka.ports[listener]}", PLAINTEXT)
    assert told == "it hangs up; does it expect another KAFKA_SECURITY_PROTOCOL than PLAINTEXT?"


async def test_so_is_tls_to_who_speaks_none(secured_kafka: SecuredKafka) -> None:
    tls = security(secured_kafka.with_password("worker"))
    told = await find_refusal(secured_kafka.bootstrap_servers, tls)
    assert told == "it hangs up; does it expect another KAFKA_SECURITY_PROTOCOL than SASL_SSL?"


async def test_the_hint_is_the_error_when_the_patience_ends(secured_kafka: SecuredKafka) -> None:
    brokers = f"127.0.0.1:{secured_kafka.ports['SASL_SSL']}"
    with pytest.raises(KafkaRefused, match="it hangs up"):
        await ensure_topics(brokers, ["any"], partitions=1, replication_factor=1, patience_seconds=0)


async def test_a_broker_that_is_away_refuses_nobody() -> None:
    assert await find_refusal("127.0.0.1:1", PLAINTEXT) is None


async def test_a_producer_that_starts_alone_says_it_too(secured_kafka: SecuredKafka) -> None:
    settings = secured_kafka.with_password("worker") | {"KAFKA_SASL_PASSWORD": "CANARY-wrong"}
    brokers = settings["KAFKA_BOOTSTRAP_SERVERS"]
    with pytest.raises(KafkaRefused, match="refuses KAFKA_SASL_USERNAME"):
        async with connect_kafka_producer(brokers, "test", security(settings)):
            pass


async def test_who_may_not_create_a_missing_topic_is_told_so(secured_kafka: SecuredKafka) -> None:
    settings = secured_kafka.with_password("nobody")
    assert await refusal(settings) == "Kafka gives user 'nobody' no DESCRIBE on topic any"
    await allow(secured_kafka.bootstrap_servers, "User:nobody", [Acl("DESCRIBE", "topic", "any")])
    async with asyncio.timeout(10):
        while "no DESCRIBE" in (told := await refusal(settings)):
            pass  # the broker has not heard of the right yet
    assert told == "Kafka gives user 'nobody' no CREATE on topic any, and it does not exist"


async def test_rights_are_no_matter_where_nobody_asks_for_them(kafka: AnyKafka) -> None:
    topic = f"topic-{uuid4().hex[:8]}"
    rights: dict[str, Any] = {topic: ("READ", "WRITE")}
    await ensure_topics(kafka.bootstrap_servers, [topic], partitions=1, replication_factor=1, rights=rights)
