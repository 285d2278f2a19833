"""docker-compose.yml, read as YAML."""

from typing import Any

import pytest
import yaml

from tests.ground.helm_chart import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]


def environment(service: str) -> dict[str, str | None]:
    found: dict[str, str | None] = SERVICES[service]["environment"]
    return found


def host_port(service: str) -> str:
    (published,) = SERVICES[service]["ports"]
    return str(published).split(":")[-2]


def test_the_services_are_ours_and_their_two_stores() -> None:
    assert set(SERVICES) == {"gateway", "worker", "redis", "kafka"}
    assert "version" not in COMPOSE


@pytest.mark.parametrize("service", ["gateway", "worker"])
def test_our_services_wait_until_the_stores_are_healthy(service: str) -> None:
    healthy = {"condition": "service_healthy"}
    assert SERVICES[service]["depends_on"] == {"redis": healthy, "kafka": healthy}


@pytest.mark.parametrize("service", ["redis", "kafka"])
def test_the_stores_say_when_they_are_healthy_and_keep_their_data(service: str) -> None:
    assert SERVICES[service]["healthcheck"]["test"][0] == "CMD"
    volume, _ = SERVICES[service]["volumes"][0].split(":")
    assert volume in COMPOSE["volumes"]


@pytest.mark.parametrize("service", ["gateway", "worker"])
def test_our_services_are_built_from_their_own_dockerfile(service: str) -> None:
    assert (ROOT / SERVICES[service]["build"]["dockerfile"]).name == f"Dockerfile.{service}"


def test_only_the_worker_gets_the_provider_key() -> None:
    holders = {name for name in SERVICES if "OPENAI_API_KEY" in environment_or_empty(name)}
    assert holders == {"worker"}
    assert environment("worker")["OPENAI_API_KEY"] is None, "passed through, never written down"


def environment_or_empty(service: str) -> dict[str, str | None]:
    return environment(service) if "environment" in SERVICES[service] else {}


def test_the_ports_are_the_seeds() -> None:
    assert {name: host_port(name) for name in ("gateway", "redis", "kafka")} == {
        "gateway": "8000",
        "redis": "6379",
        "kafka": "9092",
    }


def test_a_worker_is_given_longer_than_its_drain() -> None:
    grace = int(str(SERVICES["worker"]["stop_grace_period"]).removesuffix("s"))
    assert grace > int(environment("worker")["WORKER_DRAIN_SECONDS"] or "")


@pytest.mark.parametrize("service", ["gateway", "worker"])
def test_our_services_use_the_stores_of_this_file(service: str) -> None:
    expected = {
        "REDIS_URL": "redis://redis:6379",
        "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
        "KAFKA_ENABLED": "true",
        "LLM_LOG_LEVEL": "INFO",
    }
    assert expected.items() <= environment(service).items()
