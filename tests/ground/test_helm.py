"""The chart, rendered by real Helm binaries of both majors."""

from pathlib import Path
from typing import Any

import pytest

from tests.ground.helm_chart import HelmRelease, render, run

pytestmark = pytest.mark.timeout(900)  # the first run downloads two binaries


def find(manifests: list[dict[str, Any]], kind: str, component: str) -> dict[str, Any]:
    (found,) = (
        manifest
        for manifest in manifests
        if manifest["kind"] == kind and manifest["metadata"]["name"].endswith(f"-{component}")
    )
    return found


def pod(manifests: list[dict[str, Any]], component: str) -> dict[str, Any]:
    spec: dict[str, Any] = find(manifests, "Deployment", component)["spec"]["template"]["spec"]
    return spec


def container(manifests: list[dict[str, Any]], component: str) -> dict[str, Any]:
    (only,) = pod(manifests, component)["containers"]
    assert isinstance(only, dict)
    return only


def test_the_binary_is_of_the_major_it_stands_for(helm: Path, helm_release: HelmRelease) -> None:
    assert run(helm, "version", "--short").stdout.startswith(f"v{helm_release.major}.")


def test_only_the_worker_reads_the_provider_key_and_only_if_there_is_one(helm: Path) -> None:
    with_key = render(helm, "openai.existingSecret=provider")
    assert container(with_key, "worker")["env"] == [
        {
            "name": "OPENAI_API_KEY",
            "valueFrom": {"secretKeyRef": {"name": "provider", "key": "OPENAI_API_KEY"}},
        }
    ]
    others = [m for m in with_key if m is not find(with_key, "Deployment", "worker")]
    assert "provider" not in str(others)
    assert "OPENAI_API_KEY" not in str(others)
    assert "OPENAI_API_KEY" not in str(render(helm))


def test_only_the_gateway_reads_the_tokens_and_from_a_folder_that_follows_the_secret(helm: Path) -> None:
    manifests = render(helm, "gateway.auth.existingSecret=clients", "gateway.auth.secretKey=list")
    settings = find(manifests, "ConfigMap", "gateway")["data"]
    assert (settings["LLM_ENABLE_AUTH"], settings["LLM_AUTH_TOKENS_FILE"]) == ("true", "/etc/llm/tokens/list")
    [mount] = [
        m for m in container(manifests, "gateway")["volumeMounts"] if m["mountPath"] == "/etc/llm/tokens"
    ]
    assert "subPath" not in mount
    [volume] = [v for v in pod(manifests, "gateway")["volumes"] if v["name"] == mount["name"]]
    assert volume["secret"] == {
        "secretName": "clients",
        "defaultMode": 0o440,
        "items": [{"key": "list", "path": "list"}],
    }
    assert "clients" not in str(pod(manifests, "worker"))
    assert "LLM_ENABLE_AUTH" not in str(render(helm))


def test_a_worker_is_given_longer_than_its_drain(helm: Path) -> None:
    manifests = render(helm, "worker.drainSeconds=1234")
    drain = int(find(manifests, "ConfigMap", "worker")["data"]["WORKER_DRAIN_SECONDS"])
    assert drain == 1234
    assert pod(manifests, "worker")["terminationGracePeriodSeconds"] > drain


@pytest.mark.parametrize(
    ("component", "variable", "port"), [("gateway", "LLM_PORT", 8000), ("worker", "WORKER_HEALTH_PORT", 8001)]
)
def test_probes_ask_the_port_that_the_process_is_told(
    helm: Path, component: str, variable: str, port: int
) -> None:
    manifests = render(helm)
    ours = container(manifests, component)
    assert find(manifests, "ConfigMap", component)["data"][variable] == str(port)
    assert ours["ports"] == [{"name": "http", "containerPort": port}]
    assert ours["readinessProbe"]["httpGet"] == {"path": "/health/ready", "port": "http"}
    assert ours["livenessProbe"]["httpGet"] == {"path": "/health/live", "port": "http"}


@pytest.mark.parametrize("component", ["gateway", "worker"])
def test_a_pod_is_confined_and_can_still_write_its_log(helm: Path, component: str) -> None:
    manifests = render(helm)
    ours = container(manifests, component)
    assert pod(manifests, component)["securityContext"]["runAsNonRoot"] is True
    assert ours["securityContext"]["readOnlyRootFilesystem"] is True
    mounts = {mount["mountPath"]: mount["name"] for mount in ours["volumeMounts"]}
    volumes = {volume["name"] for volume in pod(manifests, component)["volumes"] if "emptyDir" in volume}
    log_file = find(manifests, "ConfigMap", component)["data"]["LLM_LOG_FILE"]
    assert {mounts[str(Path(log_file).parent)], mounts["/tmp"]} <= volumes  # noqa: S108


def test_the_gateway_service_and_both_budgets_find_their_pods(helm: Path) -> None:
    manifests = render(helm)
    for component in ("gateway", "worker"):
        labels = find(manifests, "Deployment", component)["spec"]["template"]["metadata"]["labels"]
        budget = find(manifests, "PodDisruptionBudget", component)["spec"]["selector"]["matchLabels"]
        assert budget.items() <= labels.items()
    labels = find(manifests, "Deployment", "gateway")["spec"]["template"]["metadata"]["labels"]
    assert find(manifests, "Service", "gateway")["spec"]["selector"].items() <= labels.items()
