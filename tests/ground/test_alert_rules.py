"""The alerts: accepted by promtool, firing when they should, silent when all is well, each explained."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import missing
from tests.docs.metrics_catalogue import known_series
from tests.ground.alert_cases import MINUTES, UNWELL, WELL, Series
from tests.ground.helm_chart import CHART, ROOT
from tests.ground.promql import names_in, unknown_names
from tests.support.availability import Unavailable
from tests.support.prometheus import find_binary, promtool, write_yaml

RULES = CHART / "rules" / "llm-microservice.rules.yaml"
RUNBOOK = ROOT / "docs" / "runbook.md"
ALERTS: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
]
NAMES = [alert["alert"] for alert in ALERTS]
AT_MINUTES = (30, MINUTES // 2 + 5, MINUTES - 5)


@pytest.fixture(autouse=True, scope="module")
def _tool() -> None:
    try:
        find_binary("promtool")
    except Unavailable as reason:
        missing(str(reason))


def check(
    folder: Path, figures: Series, expectations: list[dict[str, Any]]
) -> subprocess.CompletedProcess[str]:
    """promtool's unit test of the rules."""
    series = [{"series": name, "values": values} for name, values in figures.items()]
    document = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": expectations}],
    }
    return promtool("test", "rules", write_yaml(folder / "test.yaml", document))


def firing(alert: str, minute: int) -> dict[str, Any]:
    return {
        "expr": f'max by (alertname) (ALERTS{{alertname="{alert}",alertstate="firing"}})',
        "eval_time": f"{minute}m",
        "exp_samples": [{"labels": f'{{alertname="{alert}"}}', "value": 1}],
    }


def test_prometheus_accepts_them() -> None:
    done = promtool("check", "rules", RULES)
    assert (done.returncode, f"{len(ALERTS)} rules found" in done.stdout) == (0, True), done.stderr


@pytest.mark.parametrize("alert", NAMES)
def test_an_alert_fires_when_it_should(tmp_path: Path, alert: str) -> None:
    done = check(tmp_path, {**WELL, **UNWELL[alert]}, [firing(alert, MINUTES // 2 + 12)])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "alert", [name for name in NAMES if "offset 15m" in ALERTS[NAMES.index(name)]["expr"]]
)
def test_what_a_new_process_counted_before_it_was_first_read_fires_too(tmp_path: Path, alert: str) -> None:
    """No growth is seen of it: its first figure is not 0."""
    half = MINUTES // 2
    [name] = UNWELL[alert]
    new = {f'{name}{{instance="new"}}': f"_x{half} 1+0x{half}"}
    done = check(tmp_path, {**WELL, **new}, [firing(alert, half + 5)])
    assert done.returncode == 0, done.stdout + done.stderr


def test_all_are_silent_when_all_is_well(tmp_path: Path) -> None:
    silent = [
        {"expr": 'ALERTS{alertstate="firing"}', "eval_time": f"{minute}m", "exp_samples": []}
        for minute in AT_MINUTES
    ]
    done = check(tmp_path, WELL, silent)
    assert done.returncode == 0, done.stdout + done.stderr
    # And an alert that is expected and does not fire is found
    assert check(tmp_path, WELL, [firing("LlmNoWorker", 30)]).returncode != 0


def test_what_an_alert_says_is_filled_in(tmp_path: Path) -> None:
    said = {
        "summary": "redis cannot be used",
        "description": "At least one gateway or worker cannot use redis.",
        "runbook_url": "docs/runbook.md#llmdependencydown",
    }
    document = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": 'llm_dependency_up{dependency="redis"}', "values": "0x10"}],
                "alert_rule_test": [
                    {
                        "eval_time": "5m",
                        "alertname": "LlmDependencyDown",
                        "exp_alerts": [
                            {
                                "exp_labels": {"severity": "critical", "dependency": "redis"},
                                "exp_annotations": said,
                            }
                        ],
                    }
                ],
            }
        ],
    }
    done = promtool("test", "rules", write_yaml(tmp_path / "test.yaml", document))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_made_to_fire() -> None:
    assert list(UNWELL) == NAMES


def test_every_alert_says_what_to_do() -> None:
    sections = re.findall(r"^## (\w+)$", RUNBOOK.read_text(), re.MULTILINE)
    assert sections == NAMES
    for alert in ALERTS:
        assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
        assert alert["annotations"]["runbook_url"] == f"docs/runbook.md#{alert['alert'].lower()}"
        assert alert["labels"]["severity"] in {"info", "warning", "critical"}


def test_the_runbook_names_nothing_that_is_not_there() -> None:
    text = RUNBOOK.read_text()
    targets = set(re.findall(r"\]\(#(\w+)\)", text))
    assert targets <= {name.lower() for name in NAMES}
    named = set(re.findall(r"`((?:llm|http|gen_ai)_[a-z_]+)`", text))
    families = {name.removesuffix("_count") for name in known_series()} | {"llm_dependency_up"}
    assert named
    assert named <= families


def test_every_metric_that_they_name_exists() -> None:
    expressions = [alert["expr"] for alert in ALERTS]
    assert unknown_names(expressions, known_series()) == set()
    for expression in expressions:
        for name in names_in(expression):  # and a misspelt one is found, wherever it stands
            assert unknown_names([expression.replace(name, f"{name}x")], known_series()) == {f"{name}x"}
