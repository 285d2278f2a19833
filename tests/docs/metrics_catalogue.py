"""Every figure that Prometheus can be told, found in the code that makes it."""

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

MODULES = {
    "gateway.metrics": "gateway",
    "worker.metrics": "worker",
    "shared.telemetry.event_metrics": "worker",
    "shared.telemetry.process_metrics": "both",
}
_SUFFIXES = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_sum", "_count"),
    "gauge": ("",),
}


@dataclass(frozen=True)
class Figure:
    """One metric, as a table tells it."""

    name: str
    kind: str
    labels: Sequence[str]
    where: str
    what: str

    @property
    def shown_name(self) -> str:
        return f"{self.name}_total" if self.kind == "counter" else self.name

    @property
    def series_names(self) -> set[str]:
        """What a query may name."""
        return {self.name + suffix for suffix in _SUFFIXES[self.kind]}


def figures() -> list[Figure]:
    """Of the whole product."""
    return [_figure(metric, where) for module, where in MODULES.items() for metric in _metrics_of(module)]


def known_series() -> set[str]:
    """The product's, and those of the client library about the process."""
    return set().union(*(figure.series_names for figure in figures())) | {
        sample.name for family in REGISTRY.collect() for sample in family.samples
    }


def metrics_table() -> str:
    rows = ["| Metric | Type | Labels | Where | What it is |", "|---|---|---|---|---|"]
    for figure in figures():
        labels = ", ".join(f"`{label}`" for label in figure.labels)
        rows.append(f"| `{figure.shown_name}` | {figure.kind} | {labels} | {figure.where} | {figure.what} |")
    rows.append(
        "| `process_*`, `python_*` | | | both | CPU, memory, open files and start of the process; Python's "
        "version and collections |"
    )
    return "\n".join(rows)


def _metrics_of(module: str) -> Iterator[MetricWrapperBase]:
    members = vars(importlib.import_module(module)).values()
    return (member for member in members if isinstance(member, MetricWrapperBase))


def _figure(metric: MetricWrapperBase, where: str) -> Figure:
    [family] = metric.describe()
    return Figure(family.name, family.type, metric._labelnames, where, family.documentation)
