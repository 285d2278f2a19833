"""The Grafana dashboard: what the code says, in Grafana's form, about metrics that exist."""

import json
from typing import Any

from tests.docs.dashboard import dashboard_text
from tests.docs.dashboard_panels import ROWS
from tests.docs.metrics_catalogue import known_series
from tests.docs.tables import DASHBOARD
from tests.ground.promql import names_in, unknown_names

BOARD: dict[str, Any] = json.loads(DASHBOARD.read_text())
PANELS: list[dict[str, Any]] = BOARD["panels"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel.get("targets", [])]


def test_it_is_what_the_code_says() -> None:
    assert DASHBOARD.read_text() == dashboard_text(), "run make docs"


def test_every_metric_that_it_names_exists() -> None:
    assert unknown_names(EXPRESSIONS, known_series()) == set()
    for expression in EXPRESSIONS:
        for name in names_in(expression):  # and a misspelt one is found, wherever it stands
            assert unknown_names([expression.replace(name, f"{name}x")], known_series()) == {f"{name}x"}


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    covered: set[tuple[int, int]] = set()
    for panel in PANELS:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & covered, panel["title"]
        covered |= cells


def test_it_asks_the_source_that_was_chosen_and_nothing_else() -> None:
    assert [panel["title"] for panel in PANELS if panel["type"] == "row"] == [title for title, _ in ROWS]
    asked = [panel for panel in PANELS if panel["type"] != "row"]
    assert {panel["datasource"]["uid"] for panel in asked} == {"${datasource}"}
    assert {target["datasource"]["uid"] for panel in asked for target in panel["targets"]} == {
        "${datasource}"
    }
    assert {variable["name"] for variable in BOARD["templating"]["list"]} == {"datasource", "namespace"}
    assert all('namespace=~"$namespace"' in expression for expression in EXPRESSIONS)
    assert "://" not in DASHBOARD.read_text()


def test_helm_can_embed_it_as_it_is() -> None:
    """Legends are Grafana's templates; whoever embeds the file must not run Helm's over it."""
    assert "{{instance}}" in DASHBOARD.read_text()
    assert len(DASHBOARD.read_bytes()) < 1_000_000  # a ConfigMap's most
