"""Who decides how many pods there are, and by what."""

from pathlib import Path
from typing import Any

import pytest

from shared.domain.priority import lanes_of
from tests.ground.helm_chart import render
from tests.ground.test_helm import find, pod

pytestmark = pytest.mark.timeout(900)


def of_kind(manifests: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def triggers(manifests: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [each["metadata"] for each in find(manifests, "ScaledObject", "worker")["spec"]["triggers"]]


def trigger(manifests: list[dict[str, Any]]) -> dict[str, str]:
    """Of the normal lane; the others are like it but for their names."""
    normal, *others = triggers(manifests)
    for other in others:
        assert {**other, "topic": "", "consumerGroup": ""} == {**normal, "topic": "", "consumerGroup": ""}
    return normal


@pytest.mark.parametrize(
    ("settings", "scaler"),
    [
        (("worker.autoscaling.kind=keda",), "ScaledObject"),
        (("worker.autoscaling.kind=hpa",), "HorizontalPodAutoscaler"),
    ],
)
def test_whoever_scales_the_workers_scales_them_alone(
    newest_helm: Path, settings: tuple[str, ...], scaler: str
) -> None:
    """A number in the Deployment would be set again by each upgrade."""
    manifests = render(newest_helm, *settings)
    assert "replicas" not in find(manifests, "Deployment", "worker")["spec"]
    [only] = [*of_kind(manifests, "ScaledObject"), *of_kind(manifests, "HorizontalPodAutoscaler")]
    assert only["kind"] == scaler
    assert (
        only["spec"]["scaleTargetRef"]["name"] == find(manifests, "Deployment", "worker")["metadata"]["name"]
    )


def test_without_an_autoscaler_the_deployments_have_their_numbers(newest_helm: Path) -> None:
    manifests = render(newest_helm, "worker.replicas=5", "gateway.replicas=3")
    assert [find(manifests, "Deployment", name)["spec"]["replicas"] for name in ("worker", "gateway")] == [
        5,
        3,
    ]
    assert not of_kind(manifests, "ScaledObject") + of_kind(manifests, "HorizontalPodAutoscaler")


def test_the_gateway_has_an_autoscaler_of_its_own(newest_helm: Path) -> None:
    manifests = render(newest_helm, "gateway.autoscaling.enabled=true")
    assert "replicas" not in find(manifests, "Deployment", "gateway")["spec"]
    [autoscaler] = of_kind(manifests, "HorizontalPodAutoscaler")
    assert autoscaler["spec"]["scaleTargetRef"]["name"].endswith("-gateway")


def test_keda_reads_the_lag_of_the_group_and_topic_that_the_workers_read(newest_helm: Path) -> None:
    manifests = render(
        newest_helm,
        "worker.autoscaling.kind=keda",
        "kafka.consumerGroup=g",
        "kafka.requestTopic=t",
        "kafka.bootstrapServers=k:1\\,k:2",
    )
    settings = find(manifests, "ConfigMap", "worker")["data"]
    found = trigger(manifests)
    assert (found["consumerGroup"], found["topic"]) == ("g", "t")
    assert (settings["KAFKA_CONSUMER_GROUP"], settings["KAFKA_REQUEST_TOPIC"]) == ("g", "t")
    lanes = [(each["consumerGroup"], each["topic"]) for each in triggers(manifests)]
    assert sorted(lanes) == sorted(zip(lanes_of("g").values(), lanes_of("t").values(), strict=True))
    assert found["bootstrapServers"] == settings["KAFKA_BOOTSTRAP_SERVERS"] == "k:1,k:2"
    assert found["offsetResetPolicy"] == "earliest", "as the subscription of the worker begins"


def test_one_more_worker_for_as_many_jobs_as_one_runs(newest_helm: Path) -> None:
    own = ("worker.autoscaling.kind=keda", "worker.concurrency=300")
    assert trigger(render(newest_helm, *own))["lagThreshold"] == "300"
    chosen = render(newest_helm, *own, "worker.autoscaling.keda.lagThreshold=50")
    assert trigger(chosen)["lagThreshold"] == "50"


@pytest.mark.parametrize(
    ("mechanism", "of_keda"),
    [("PLAIN", "plaintext"), ("SCRAM-SHA-256", "scram_sha256"), ("SCRAM-SHA-512", "scram_sha512")],
)
def test_keda_has_the_account_of_the_workers(newest_helm: Path, mechanism: str, of_keda: str) -> None:
    manifests = render(
        newest_helm,
        "worker.autoscaling.kind=keda",
        f"kafka.sasl.mechanism={mechanism}",
        "kafka.sasl.existingSecret=account",
        "kafka.sasl.username=me",
    )
    assert (trigger(manifests)["sasl"], trigger(manifests)["tls"]) == (of_keda, "disable")
    [authentication] = of_kind(manifests, "TriggerAuthentication")
    parameters = {
        each["parameter"]: (each["name"], each["key"]) for each in authentication["spec"]["secretTargetRef"]
    }
    [brokers] = of_kind(manifests, "Secret")
    assert parameters == {
        "password": ("account", "password"),
        "username": (brokers["metadata"]["name"], "KAFKA_SASL_USERNAME"),
    }
    assert brokers["stringData"] == {"KAFKA_SASL_USERNAME": "me"}


def test_a_gateway_is_given_its_pause_and_its_connections_time(newest_helm: Path) -> None:
    ours = pod(render(newest_helm, "gateway.preStopSeconds=15"), "gateway")
    [container] = ours["containers"]
    assert container["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "15"]
    assert ours["terminationGracePeriodSeconds"] > 15 + 30
