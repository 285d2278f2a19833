"""Every variable that an image, compose or the chart sets is one its service reads, with a value it takes.

A misspelt name would otherwise be ignored without a word.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from gateway.settings import GatewaySettings
from shared.settings import load_settings
from tests.ground.helm_chart import EXAMPLES, render
from tests.ground.test_compose import environment
from tests.ground.test_helm import container, find
from tests.ground.test_images import variables_of
from worker.settings import WorkerSettings

SETTINGS: dict[str, type[BaseSettings]] = {"gateway": GatewaySettings, "worker": WorkerSettings}
SERVICES = tuple(SETTINGS)
NOT_OURS = {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
_IN_SECRETS = {"KAFKA_SASL_USERNAME": "user", "KAFKA_SASL_PASSWORD": "password"}


def assert_read_by(
    service: str, variables: Mapping[str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = {name for name in variables if name.lower() not in SETTINGS[service].model_fields}
    assert not unknown, f"{service} does not read {sorted(unknown)}"
    for field in SETTINGS[service].model_fields:
        monkeypatch.delenv(field.upper(), raising=False)
    for name, value in variables.items():
        # Certificates are files of the cluster, and what is not written down here comes from its Secrets.
        if not re.fullmatch(r"(KAFKA|REDIS)_SSL_\w+_FILE", name):
            monkeypatch.setenv(name, value or _IN_SECRETS.get(name, ""))
    load_settings(SETTINGS[service], _env_file=None)


@pytest.mark.parametrize("service", SERVICES)
def test_the_image(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = variables_of(service)
    assert set(variables) >= NOT_OURS
    ours = {name: value for name, value in variables.items() if name not in NOT_OURS}
    assert_read_by(service, ours, monkeypatch)


@pytest.mark.parametrize("service", SERVICES)
def test_compose(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_read_by(service, environment(service), monkeypatch)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("example", [example.stem for example in EXAMPLES])
@pytest.mark.parametrize("service", SERVICES)
def test_the_chart(newest_helm: Path, service: str, example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    manifests = render(newest_helm, "openai.baseUrl=https://llm.example/v1", example=example)
    variables: dict[str, str | None] = dict(find(manifests, "ConfigMap", service)["data"])
    variables |= {entry["name"]: entry.get("value") for entry in container(manifests, service).get("env", [])}
    assert_read_by(service, variables, monkeypatch)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("example", [example.stem for example in EXAMPLES])
def test_the_topics_job(newest_helm: Path, example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    manifests = render(newest_helm, example=example)
    [job] = [manifest for manifest in manifests if manifest["kind"] == "Job"]
    [ours] = job["spec"]["template"]["spec"]["containers"]
    assert_read_by("worker", {each["name"]: each.get("value") for each in ours["env"]}, monkeypatch)
