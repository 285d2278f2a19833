"""NetworkPolicies, read as a network would: who may reach what."""

from pathlib import Path
from typing import Any

import pytest

from tests.ground.helm_chart import render
from tests.ground.test_helm import find

pytestmark = pytest.mark.timeout(900)
ON = "networkPolicy.enabled=true"
DNS, KAFKA, REDIS, PROVIDER = 53, 9092, 6379, 443


def ports(manifests: list[dict[str, Any]], component: str) -> set[int]:
    """Where its pods may go."""
    rules = find(manifests, "NetworkPolicy", component)["spec"]["egress"]
    return {port["port"] for rule in rules for port in rule["ports"]}


def policy(manifests: list[dict[str, Any]], component: str) -> dict[str, Any]:
    found: dict[str, Any] = find(manifests, "NetworkPolicy", component)["spec"]
    return found


def test_only_workers_reach_the_provider(newest_helm: Path) -> None:
    manifests = render(newest_helm, ON)
    assert ports(manifests, "gateway") == {DNS, KAFKA, REDIS}
    assert ports(manifests, "worker") == {DNS, KAFKA, REDIS, PROVIDER}
    [topics] = [
        m for m in manifests if m["kind"] == "NetworkPolicy" and m["metadata"]["name"].endswith("-topics")
    ]
    assert {port["port"] for rule in topics["spec"]["egress"] for port in rule["ports"]} == {DNS, KAFKA}


@pytest.mark.parametrize("component", ["gateway", "worker"])
def test_a_policy_holds_both_ways_and_for_the_pods_of_its_component(
    newest_helm: Path, component: str
) -> None:
    manifests = render(newest_helm, ON)
    labels = find(manifests, "Deployment", component)["spec"]["template"]["metadata"]["labels"]
    ours = policy(manifests, component)
    assert set(ours["policyTypes"]) == {"Ingress", "Egress"}
    assert ours["podSelector"]["matchLabels"].items() <= labels.items()
    other = "worker" if component == "gateway" else "gateway"
    foreign = find(manifests, "Deployment", other)["spec"]["template"]["metadata"]["labels"]
    assert not ours["podSelector"]["matchLabels"].items() <= foreign.items()


def test_a_worker_is_reached_for_its_metrics_alone(newest_helm: Path) -> None:
    [rule] = policy(render(newest_helm, ON), "worker")["ingress"]
    assert rule["from"] == [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    ]
    assert rule["ports"] == [{"protocol": "TCP", "port": "http"}]
    assert policy(render(newest_helm, ON, "networkPolicy.metricsFrom=null"), "worker")["ingress"] == []


def test_callers_of_the_gateway_may_be_named(newest_helm: Path) -> None:
    [rule] = policy(render(newest_helm, ON), "gateway")["ingress"]
    assert "from" not in rule
    named = render(newest_helm, ON, "networkPolicy.gatewayFrom[0].podSelector.matchLabels.app=proxy")
    [rule] = policy(named, "gateway")["ingress"]
    assert {"podSelector": {"matchLabels": {"app": "proxy"}}} in rule["from"]
    assert len(rule["from"]) == 2, "and who reads the metrics"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://cache", {6379}),
        ("rediss://:p:1@cache:6380/2", {6380}),
        ("redis+cluster://a:7000\\,b:7001", {7000, 7001}),
        ("redis+sentinel://a\\,b:26380/main", {6379, 26379, 26380}),
    ],
)
def test_the_ports_are_those_of_the_addresses(newest_helm: Path, url: str, expected: set[int]) -> None:
    servers = "kafka.bootstrapServers=a:9094\\,b:9095"
    manifests = render(newest_helm, ON, f"redis.url={url}", servers)
    assert ports(manifests, "gateway") == {DNS, 9094, 9095} | expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [("https://llm.example/v1", 443), ("http://llm.example/v1", 80), ("https://llm.example:8443/v1", 8443)],
)
def test_the_provider_is_where_its_url_says(newest_helm: Path, url: str, expected: int) -> None:
    manifests = render(newest_helm, ON, f"openai.baseUrl={url}")
    assert ports(manifests, "worker") - ports(manifests, "gateway") == {expected}


def test_the_provider_is_not_in_a_private_network_nor_at_the_clouds_metadata(newest_helm: Path) -> None:
    rules = policy(render(newest_helm, ON), "worker")["egress"]
    [peer] = next(rule for rule in rules if rule["ports"][0]["port"] == PROVIDER)["to"]
    assert {"10.0.0.0/8", "192.168.0.0/16", "172.16.0.0/12", "169.254.0.0/16"} <= set(
        peer["ipBlock"]["except"]
    )


def test_the_demo_is_reached_by_its_labels(newest_helm: Path) -> None:
    manifests = render(newest_helm, ON, "demo.enabled=true")
    for name, port in (("demo-kafka", KAFKA), ("demo-redis", REDIS)):
        labels = find(manifests, "StatefulSet", name)["spec"]["template"]["metadata"]["labels"]
        rules = policy(manifests, "gateway")["egress"]
        [peer] = next(rule for rule in rules if rule["ports"][0]["port"] == port)["to"]
        assert peer["podSelector"]["matchLabels"].items() <= labels.items()
