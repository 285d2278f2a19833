"""The checks of the chart can fail, each in its own way."""

from pathlib import Path

import pytest
import yaml

from tests.ground.chart_copy import copy_chart, plant
from tests.ground.helm_chart import documents, example_file, run
from tests.ground.manifest_checks import complaints, related
from tests.ground.planted_mistakes import PLANTED
from tests.ground.prometheus_rules import promtool

pytestmark = pytest.mark.timeout(900)  # the first run downloads binaries and schemas


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_is_found(newest_helm: Path, whole_chart: Path, tmp_path: Path, name: str) -> None:
    mistake = PLANTED[name]
    values = str(example_file(mistake.example))
    chart = copy_chart(tmp_path)
    plant(chart, f"templates/{mistake.file}", mistake.right, mistake.wrong)
    right, wrong = (
        list(documents(run(newest_helm, "template", "release", str(each), "--values", values).stdout))
        for each in (whole_chart, chart)
    )
    found = complaints(related(wrong, right))
    assert mistake.told in " ".join(found)


def test_lint_finds_a_planted_mistake(helm: Path, tmp_path: Path) -> None:
    chart = copy_chart(tmp_path)
    plant(
        chart,
        "templates/NOTES.txt",
        "{{- $namespace := .Release.Namespace -}}",
        "{{- $namespace := .Nowhere.At.All -}}",
    )
    done = run(helm, "lint", "--strict", "--values", str(example_file("minimal")), str(chart), check=False)
    assert done.returncode != 0
    assert "NOTES.txt" in done.stdout + done.stderr


def test_promtool_finds_a_planted_mistake(newest_helm: Path, tmp_path: Path) -> None:
    chart = copy_chart(tmp_path)
    rules = chart / "rules/llm-microservice.rules.yaml"
    content = yaml.safe_load(rules.read_text())
    content["groups"][0]["rules"][0]["expr"] += " +"
    rules.write_text(yaml.safe_dump(content))
    values = str(example_file("all-on"))
    rendered = run(newest_helm, "template", "release", str(chart), "--values", values).stdout
    done = promtool(rendered, tmp_path)
    assert done.returncode != 0
    assert "could not parse expression" in done.stdout + done.stderr
