"""The Grafana dashboard, written by `make docs`: its rows, panels and queries on one screen."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.docs.dashboard_panels import ROWS, Panel

_WIDTH = 24
_SCHEMA = 39
"""Of Grafana 11."""
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def dashboard_text() -> str:
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


def dashboard() -> dict[str, Any]:
    return {
        "uid": "llm-microservice",
        "title": "LLM Microservice",
        "description": "docs/operate.md explains every metric, docs/runbook.md every alert.",
        "tags": ["llm"],
        "schemaVersion": _SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "timezone": "browser",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [_datasource_variable(), _namespace_variable()]},
        "annotations": {"list": []},
        "links": [],
        "panels": list(_panels()),
    }


@dataclass
class _Cursor:
    """Where the next panel stands."""

    x: int = 0
    y: int = 0
    row_height: int = 0
    ids: Iterator[int] = field(default_factory=lambda: count(1))

    def place(self, width: int, height: int) -> dict[str, int]:
        if self.x + width > _WIDTH:
            self.end_line()
        place = {"x": self.x, "y": self.y, "w": width, "h": height}
        self.x += width
        self.row_height = max(self.row_height, height)
        return place

    def end_line(self) -> None:
        self.x, self.y, self.row_height = 0, self.y + self.row_height, 0


def _panels() -> Iterator[dict[str, Any]]:
    cursor = _Cursor()
    for title, panels in ROWS:
        cursor.end_line()
        row = {"type": "row", "title": title, "collapsed": False, "panels": []}
        yield {"id": next(cursor.ids), **row, "gridPos": cursor.place(_WIDTH, 1)}
        for panel in panels:
            yield {
                "id": next(cursor.ids),
                **_panel(panel),
                "gridPos": cursor.place(panel.width, panel.height),
            }


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": _SOURCE,
        "targets": list(_targets(panel.queries)),
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _options(panel),
    }


def _targets(queries: Sequence[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    for number, (legend, expression) in enumerate(queries):
        yield {
            "refId": chr(ord("A") + number),
            "datasource": _SOURCE,
            "editorMode": "code",
            "expr": expression,
            "legendFormat": legend,
            "range": True,
        }


def _defaults(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    steps += [{"color": colour, "value": value} for value, colour in panel.thresholds]
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "min": 0,
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    if panel.kind == "timeseries":
        defaults["custom"] = {
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 20 if panel.is_stacked else 5,
            "showPoints": "never",
            "stacking": {"mode": "normal" if panel.is_stacked else "none", "group": "A"},
        }
    return defaults


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "timeseries":
        legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
        return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    reduce = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    return {"reduceOptions": reduce, "colorMode": "background", "graphMode": "area", "textMode": "auto"}


def _datasource_variable() -> dict[str, Any]:
    return {
        "type": "datasource",
        "name": "datasource",
        "label": "Prometheus",
        "query": "prometheus",
        "current": {},
        "hide": 0,
    }


def _namespace_variable() -> dict[str, Any]:
    return {
        "type": "query",
        "name": "namespace",
        "label": "Namespace",
        "datasource": _SOURCE,
        "definition": "label_values(llm_build_info, namespace)",
        "query": {"query": "label_values(llm_build_info, namespace)", "refId": "namespaces"},
        "refresh": 2,
        "sort": 1,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }
