"""A copy of the chart that may be changed."""

import json
import shutil
from pathlib import Path

import yaml

from tests.ground.helm_chart import CHART

RULES = "rules/llm-microservice.rules.yaml"
DASHBOARD = "dashboards/llm-microservice.json"
_RULE = {
    "alert": "WorkersAway",
    "expr": "sum(up) == 0",
    "annotations": {"summary": "{{ $labels.job }} is away"},
}
_MADE_UP = {
    RULES: yaml.safe_dump({"groups": [{"name": "llm-microservice", "rules": [_RULE]}]}),
    DASHBOARD: json.dumps({"title": "LLM Microservice", "panels": []}, indent=1),
}


def copy_chart(folder: Path) -> Path:
    """The chart; a file of monitoring that it lacks is made up, so that its template is rendered."""
    chart = folder / CHART.name
    shutil.copytree(CHART, chart)
    for name, text in _MADE_UP.items():
        file = chart / name
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    return chart


def plant(chart: Path, file: str, right: str, wrong: str) -> None:
    """Replace what is there exactly once."""
    path = chart / file
    text = path.read_text()
    assert text.count(right) == 1, f"{file} has {right!r} {text.count(right)} times"
    path.write_text(text.replace(right, wrong))
