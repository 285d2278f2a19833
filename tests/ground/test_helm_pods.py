"""Every pod of every example is confined as the `restricted` profile asks, and has no account's token."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ground.helm_chart import EXAMPLES, documents, render
from tests.ground.test_helm import find

pytestmark = pytest.mark.timeout(900)


def pods(manifests: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for manifest in manifests:
        if manifest["kind"] in {"Deployment", "StatefulSet", "Job"}:
            yield manifest["metadata"]["name"], manifest["spec"]["template"]["spec"]


@pytest.mark.parametrize("example", [example.stem for example in EXAMPLES])
def test_every_pod_is_confined(renderings: dict[str, str], example: str) -> None:
    for name, pod in pods(list(documents(renderings[example]))):
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            confined = container["securityContext"]
            assert confined["allowPrivilegeEscalation"] is False
            assert confined["capabilities"] == {"drop": ["ALL"]}
            assert confined.get("readOnlyRootFilesystem") is (None if "demo-kafka" in name else True)
            assert "memory" in container["resources"]["limits"]


def test_every_account_is_made_or_named_and_gives_no_token(newest_helm: Path) -> None:
    manifests = render(newest_helm, example="all-on")
    made = {m["metadata"]["name"]: m for m in manifests if m["kind"] == "ServiceAccount"}
    assert all(account["automountServiceAccountToken"] is False for account in made.values())
    used = {pod["serviceAccountName"] for _, pod in pods(manifests)}
    assert used == {*made, "workers"}
    assert find(manifests, "Deployment", "gateway")["spec"]["template"]["spec"]["serviceAccountName"] in made


def test_a_component_is_spread_by_its_own_pods(newest_helm: Path) -> None:
    manifests = render(newest_helm)
    for component in ("gateway", "worker"):
        template = find(manifests, "Deployment", component)["spec"]["template"]
        for constraint in template["spec"]["topologySpreadConstraints"]:
            assert (
                constraint["labelSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
            )
            assert constraint["labelSelector"]["matchLabels"]["app.kubernetes.io/component"] == component
    off = render(newest_helm, "topologySpread.enabled=false")
    assert "topologySpreadConstraints" not in str(off)


def test_a_changed_topics_job_is_another_job_and_an_unchanged_one_is_the_same(newest_helm: Path) -> None:
    """A Job cannot be changed, so an upgrade would fail."""

    def name(*settings: str) -> str:
        [job] = [m for m in render(newest_helm, *settings) if m["kind"] == "Job"]
        found: str = job["metadata"]["name"]
        return found

    assert name() == name() == name("gateway.replicas=7", "worker.concurrency=5")
    changes = (
        "kafka.requestPartitions=48",
        "kafka.resultTopic=other",
        "worker.image.tag=v2",
        "redis.ttlHours=48",
    )
    assert len({name(), *map(name, changes)}) == 1 + len(changes)
    assert not [m for m in render(newest_helm, "topics.create=false") if m["kind"] == "Job"]


def test_the_demo_is_what_the_services_use(newest_helm: Path) -> None:
    manifests = render(newest_helm, example="demo")
    settings = find(manifests, "ConfigMap", "worker")["data"]
    for component, address in (
        ("demo-redis", settings["REDIS_URL"].removeprefix("redis://")),
        ("demo-kafka", settings["KAFKA_BOOTSTRAP_SERVERS"]),
    ):
        service = find(manifests, "Service", component)
        [port] = service["spec"]["ports"]
        assert address == f"{service['metadata']['name']}:{port['port']}"
    assert settings["KAFKA_REPLICATION_FACTOR"] == "1"
    [kafka] = find(manifests, "StatefulSet", "demo-kafka")["spec"]["template"]["spec"]["containers"]
    variables = {each["name"]: each["value"] for each in kafka["env"]}
    assert variables["KAFKA_ADVERTISED_LISTENERS"] == f"PLAINTEXT://{settings['KAFKA_BOOTSTRAP_SERVERS']}"
