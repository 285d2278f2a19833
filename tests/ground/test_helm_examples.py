"""Every example of values: lint, and each manifest against its schema, by both majors of Helm."""

from pathlib import Path

import pytest
import yaml

from tests.ground.helm_chart import EXAMPLES, documents, example_file, run
from tests.ground.manifest_checks import OLDEST, complaints
from tests.ground.prometheus_rules import promtool

pytestmark = pytest.mark.timeout(900)  # the first run downloads binaries and schemas
NAMES = [example.stem for example in EXAMPLES]


def test_the_five_that_are_promised_are_there() -> None:
    assert {"minimal", "production", "no-keda", "tls-sasl", "all-on"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_lint_is_content(helm: Path, whole_chart: Path, name: str) -> None:
    run(helm, "lint", "--strict", "--values", str(example_file(name)), str(whole_chart))


@pytest.mark.parametrize("name", NAMES)
def test_every_manifest_fits_its_schema(renderings: dict[str, str], name: str) -> None:
    assert "kind: Deployment" in renderings[name]
    assert complaints(list(documents(renderings[name]))) == ()


def test_the_oldest_kubernetes_of_the_chart_takes_everything_too(renderings: dict[str, str]) -> None:
    assert complaints(list(documents(renderings["all-on"])), kubernetes=OLDEST) == ()


def test_all_on_renders_every_template_but_the_other_choices(renderings: dict[str, str]) -> None:
    """What no example renders, no schema has seen."""
    kinds = {manifest["kind"] for text in renderings.values() for manifest in documents(text)}
    assert kinds == {
        "ConfigMap",
        "Deployment",
        "HTTPRoute",
        "HorizontalPodAutoscaler",
        "Ingress",
        "Job",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "PodMonitor",
        "PrometheusRule",
        "ScaledObject",
        "Secret",
        "Service",
        "ServiceAccount",
        "ServiceMonitor",
        "StatefulSet",
        "TriggerAuthentication",
    }


def test_promtool_takes_the_rules_as_they_are_rendered(renderings: dict[str, str], tmp_path: Path) -> None:
    done = promtool(renderings["all-on"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rules found" in done.stdout


def test_what_is_embedded_arrives_as_it_is(renderings: dict[str, str], whole_chart: Path) -> None:
    """Braces of an alert's text or a dashboard's legend are not Helm's."""
    manifests = list(documents(renderings["all-on"]))
    [rule] = [each for each in manifests if each["kind"] == "PrometheusRule"]
    assert rule["spec"] == yaml.safe_load((whole_chart / "rules/llm-microservice.rules.yaml").read_text())
    [dashboard] = [each for each in manifests if each["metadata"]["name"].endswith("-dashboard")]
    text = (whole_chart / "dashboards/llm-microservice.json").read_text()
    assert dashboard["data"]["llm-microservice.json"].strip() == text.strip()
