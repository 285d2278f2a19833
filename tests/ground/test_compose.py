"""docker-compose.yml, read as YAML."""

import re
from pathlib import Path
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
    """As it is where no other one was asked for."""
    (published,) = SERVICES[service]["ports"]
    return re.sub(r"\$\{[A-Z_]+:-(\d+)\}", r"\1", str(published)).split(":")[-2]


def test_the_services_are_ours_and_their_two_stores_and_the_rest_is_asked_for() -> None:
    assert {name for name in SERVICES if "profiles" not in SERVICES[name]} == {
        "gateway",
        "worker",
        "redis",
        "kafka",
    }
    assert {name: SERVICES[name]["profiles"] for name in SERVICES if "profiles" in SERVICES[name]} == {
        "local-model": ["local-model"],
        "prometheus": ["observability"],
        "grafana": ["observability"],
    }


def test_older_programs_read_the_file_too() -> None:
    assert not {"version", "name", "configs"} & set(COMPOSE)


@pytest.mark.parametrize("service", ["gateway", "worker", "local-model"])
def test_our_services_cannot_write_or_gain_anything(service: str) -> None:
    assert SERVICES[service]["read_only"]
    assert SERVICES[service]["cap_drop"] == ["ALL"]
    assert SERVICES[service]["security_opt"] == ["no-new-privileges:true"]


def test_redis_writes_what_it_promised_and_drops_nothing() -> None:
    command = " ".join(SERVICES["redis"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command


def test_a_worker_without_a_key_asks_the_local_model_where_it_is() -> None:
    (port,) = re.findall(r'"--port", "(\d+)"', (ROOT / "Dockerfile.worker").read_text())
    assert environment("worker")["WORKER_LOCAL_MODEL_URL"] == f"http://local-model:{port}/v1"


def test_prometheus_asks_both_services_at_their_ports() -> None:
    settings = yaml.safe_load((ROOT / "helm/observability/prometheus.yml").read_text())
    asked = {job["job_name"]: job["dns_sd_configs"][0] for job in settings["scrape_configs"]}
    assert {name: found["names"] for name, found in asked.items()} == {
        "gateway": ["gateway"],
        "worker": ["worker"],
    }
    assert str(asked["gateway"]["port"]) == environment("gateway")["LLM_PORT"]
    assert str(asked["worker"]["port"]) == environment("worker")["WORKER_HEALTH_PORT"]


@pytest.mark.parametrize("service", ["prometheus", "grafana"])
def test_what_is_mounted_from_here_is_here(service: str) -> None:
    sources = [volume.split(":")[0] for volume in SERVICES[service]["volumes"] if volume.startswith("./")]
    assert sources
    # An engine makes an empty folder of what is missing.
    files = {source: _files(source) for source in sources}
    assert [source for source, found in files.items() if not found] == []


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
    assert SERVICES[service]["build"] == {"context": ".", "dockerfile": f"Dockerfile.{service}"}


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


def _files(source: str) -> list[Path]:
    path = ROOT / source
    return [found for found in (path, *path.rglob("*")) if found.is_file()]
