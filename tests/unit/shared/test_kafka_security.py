"""What the settings of a secured Kafka may say together, and what its clients get."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.kafka_security import KafkaSecurity
from shared.settings import load_settings
from tests.support.certificates import TestAuthority
from tests.support.service_processes import ROOT, clean_environment
from worker.kafka_broker_security import broker_security
from worker.settings import WorkerSettings

PASSWORD = "CANARY-0123456789"
USER = {"kafka_sasl_username": "worker", "kafka_sasl_password": PASSWORD}


@pytest.fixture
def authority(tmp_path: Path) -> TestAuthority:
    return TestAuthority(tmp_path / "authority")


def refused(**settings: str) -> str:
    """The one line."""
    with pytest.raises(SystemExit) as stopped:
        load_settings(WorkerSettings, _env_file=None, **settings)
    (line,) = str(stopped.value).splitlines()
    assert PASSWORD not in line
    assert "; allowed: " in line
    return line


def security_of(**settings: str) -> KafkaSecurity:
    return load_settings(WorkerSettings, _env_file=None, **settings).kafka_security()


@pytest.mark.parametrize("missing", ["kafka_sasl_username", "kafka_sasl_password"])
def test_sasl_wants_a_name_and_a_password(missing: str) -> None:
    line = refused(kafka_security_protocol="SASL_SSL", **USER | {missing: ""})
    assert f"{missing.upper()} is not set, but KAFKA_SECURITY_PROTOCOL=SASL_SSL" in line


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL"])
def test_a_name_or_password_that_nobody_would_hear_is_refused(protocol: str) -> None:
    assert "KAFKA_SASL_USERNAME is set" in refused(kafka_security_protocol=protocol, **USER)
    assert "KAFKA_SASL_PASSWORD is set" in refused(kafka_sasl_password=PASSWORD)


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SASL_PLAINTEXT"])
def test_files_for_a_connection_in_the_clear_are_refused(authority: TestAuthority, protocol: str) -> None:
    settings = {"kafka_security_protocol": protocol, "kafka_ssl_ca_file": str(authority.ca)}
    assert "KAFKA_SSL_CA_FILE is set, but" in refused(**settings, **(USER if "SASL" in protocol else {}))


def broken_files(authority: TestAuthority) -> dict[str, dict[str, str]]:
    certificate, key = authority.issue("worker")
    _, other_key = authority.issue("other")
    nothing = authority.ca.with_name("empty.pem")
    nothing.write_text("no certificate")
    both = {"kafka_ssl_cert_file": str(certificate), "kafka_ssl_key_file": str(key)}
    return {
        "KAFKA_SSL_CA_FILE='/gone.pem': it cannot be read: No such file": {"kafka_ssl_ca_file": "/gone.pem"},
        "empty.pem': it holds no certificate": {"kafka_ssl_ca_file": str(nothing)},
        "KAFKA_SSL_KEY_FILE=": {"kafka_ssl_key_file": str(key)},
        "KAFKA_SSL_CERT_FILE='/gone.pem': it cannot": both | {"kafka_ssl_cert_file": "/gone.pem"},
        "KAFKA_SSL_KEY_FILE='/gone.key': it cannot": both | {"kafka_ssl_key_file": "/gone.key"},
        f"{other_key.name}': it is no key": both | {"kafka_ssl_key_file": str(other_key)},
        f"{certificate.name}': it is no key": {"kafka_ssl_cert_file": str(certificate)},
    }


def test_files_that_cannot_be_used_are_named(authority: TestAuthority) -> None:
    for told, settings in broken_files(authority).items():
        assert told in refused(kafka_security_protocol="SSL", **settings)


def test_a_key_with_a_passphrase_is_refused_instead_of_asked_for(authority: TestAuthority) -> None:
    certificate, key = authority.issue("worker")
    locked = key.with_suffix(".locked")
    words = ["openssl", "pkcs8", "-topk8", "-in", str(key), "-out", str(locked), "-passout", "pass:secret"]
    subprocess.run(words, check=True, capture_output=True)
    settings = {"kafka_ssl_cert_file": str(certificate), "kafka_ssl_key_file": str(locked)}
    assert "wants a passphrase" in refused(kafka_security_protocol="SSL", **settings)


def test_a_key_may_be_in_the_file_of_its_certificate(authority: TestAuthority) -> None:
    store = str(authority.issue_in_one_file("worker"))
    assert security_of(kafka_security_protocol="SSL", kafka_ssl_cert_file=store).tls is not None


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("protocol", ["SASL_SSL", "SASL_PLAINTEXT"])
def test_the_workers_broker_is_told_the_same_as_every_other_client(
    protocol: str, mechanism: str, parse_security: Callable[..., dict[str, object]]
) -> None:
    security = security_of(kafka_security_protocol=protocol, kafka_sasl_mechanism=mechanism, **USER)
    assert parse_security(broker_security(security)) == security.client_options()
    assert security.client_options()["sasl_plain_password"] == PASSWORD
    assert PASSWORD not in repr(security)


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL"])
def test_without_a_password_too(protocol: str, parse_security: Callable[..., dict[str, object]]) -> None:
    security = security_of(kafka_security_protocol=protocol)
    assert parse_security(broker_security(security)) == security.client_options()


@pytest.fixture
def parse_security() -> Callable[..., dict[str, object]]:
    """What FastStream makes of it for aiokafka."""
    from faststream.kafka.security import parse_security as parse  # noqa: PLC0415 - a second to import

    return parse


@pytest.mark.parametrize("program", ["gateway", "worker"])
def test_check_prints_it_without_the_password(program: str, authority: TestAuthority, tmp_path: Path) -> None:
    settings = {
        "KAFKA_ENABLED": "true",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_USERNAME": "worker",
        "KAFKA_SASL_PASSWORD": PASSWORD,
        "KAFKA_SSL_CA_FILE": str(authority.ca),
        "OPENAI_API_KEY": "sk-own",
    }
    words = [sys.executable, "-m", program, "--check"]
    done = subprocess.run(
        words, env=clean_environment(**settings), cwd=tmp_path, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert "KAFKA_SECURITY_PROTOCOL=SASL_SSL" in lines
    assert "KAFKA_SASL_USERNAME=worker" in lines
    assert "KAFKA_SASL_PASSWORD=***" in lines
    assert f"KAFKA_SSL_CA_FILE={authority.ca}" in lines
    assert PASSWORD not in done.stdout + done.stderr
    assert str(ROOT) not in done.stderr
