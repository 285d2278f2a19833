"""The chart's values: all described, and none taken that is misspelt, impossible or contradicts another."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.chart_values import values_rows
from tests.ground.helm_chart import CHART, run

pytestmark = pytest.mark.timeout(900)
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
# What Kubernetes describes, and checks.
FREE = {
    "global",
    "behavior",
    "affinity",
    "requests",
    "limits",
    "valueFrom",
    "podSelector",
    "namespaceSelector",
    "ipBlock",
}


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = SCHEMA["definitions"][reference] if reference else schema
    return found


def objects(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object that the schema describes, with its path."""
    schema = resolved(schema)
    if schema.get("type") == "object":
        yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from objects(inner, f"{path}.{name}".strip("."))
    if "items" in schema:
        yield from objects(schema["items"], f"{path}[]")


def paths(values: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, value in values.items():
        here = f"{path}.{name}".strip(".")
        yield here
        if isinstance(value, dict):
            yield from paths(value, here)


def test_every_object_of_the_schema_is_closed() -> None:
    open_ones = {
        path
        for path, schema in objects(SCHEMA)
        if schema.get("additionalProperties", True) is True
        and path.rpartition(".")[2] not in FREE
        and not (path.endswith("[]") and "properties" not in schema)  # tolerations, metrics, egress rules
    }
    assert open_ones == set()


def test_the_schema_describes_every_value_and_no_other() -> None:
    described = {path for path, _ in leaves(SCHEMA)}
    given = {path for path in paths(VALUES) if path in described}
    assert described - {"global"} == given


def leaves(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, inner in resolved(schema).get("properties", {}).items():
        here = f"{path}.{name}".strip(".")
        properties = resolved(inner).get("properties")
        if properties and not here.endswith("resources"):
            yield from leaves(inner, here)
        else:
            yield here, inner


def test_every_value_is_described_for_a_reader() -> None:
    assert [path for path, _, description in values_rows() if not description] == []


REFUSED = {
    "redis.urll=x": "redis urll",
    "redis.url=http://x": "redis url",
    "redis.ttlHours=0.5": "redis ttlHours",
    "worker.concurrency=0": "worker concurrency",
    "worker.concurrency=many": "worker concurrency",
    "worker.autoscaling.kind=Keda": "worker autoscaling kind",
    "worker.autoscaling.keda.lagTreshold=1": "worker autoscaling keda lagTreshold",
    "kafka.bootstrapServers=kafka": "kafka bootstrapServers",
    "kafka.bootstrapServers=null": "kafka bootstrapServers",
    "kafka.sasl.mechanism=SCRAM": "kafka sasl mechanism",
    "gateway.image.tag=1": "gateway image tag",
    "gateway.maxWaitSeconds=5": "gateway maxWaitSeconds",
    "gateway.httpRoute.enabled=true": "gateway httpRoute",
    "gateway.ingress.enabled=true": "gateway ingress hosts",
    "openai.existingSecret=Not_A_Name": "openai existingSecret",
    "networkPolicy.kafkaTo[0].podSelectr.a=b": "networkPolicy kafkaTo podSelectr",
    "monitoring.monitors.interval=30": "monitoring monitors interval",
}


@pytest.mark.parametrize("wrong", REFUSED)
def test_a_wrong_value_stops_the_install_and_a_line_names_it(helm: Path, wrong: str) -> None:
    done = run(helm, "template", "release", str(CHART), "--set", wrong, check=False)
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if line.startswith("- ")]
    assert any(all(word in line for word in REFUSED[wrong].split()) for line in said), done.stderr


CONTRADICTIONS = {
    ("kafka.sasl.mechanism=PLAIN",): "there is no account",
    ("kafka.sasl.mechanism=PLAIN", "kafka.sasl.username=me"): "there is no account",
    ("kafka.tls.caSecret=ca",): "kafka.tls.enabled is false",
    ("redis.tls.caSecret=ca",): "redis.url is not of TLS",
    ("sealing.privateKeys=x",): "sealing.privateKeys and sealing.publicKeys belong together",
    ("gateway.autoscaling.minReplicas=20",): "minReplicas=20 is above maxReplicas=10",
    ("worker.autoscaling.minReplicas=30",): "minReplicas=30 is above maxReplicas=24",
    ("worker.autoscaling.kind=hpa", "worker.autoscaling.minReplicas=0"): "is for kind keda alone",
    ("worker.autoscaling.kind=keda", "kafka.requestPartitions=12"): "above kafka.requestPartitions=12",
    ("monitoring.monitors.enabled=true", "gateway.auth.existingSecret=a"): "tokenSecret is missing",
}


@pytest.mark.parametrize("settings", CONTRADICTIONS, ids=" ".join)
def test_values_that_contradict_each_other_are_refused_in_one_line(
    helm: Path, settings: tuple[str, ...]
) -> None:
    words = [word for setting in settings for word in ("--set", setting)]
    done = run(helm, "template", "release", str(CHART), *words, check=False)
    assert done.returncode != 0
    [line] = [line for line in done.stderr.splitlines() if line.startswith("Error:")]
    assert CONTRADICTIONS[settings] in line
