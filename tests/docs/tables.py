"""What `make docs` writes from the code and a test compares: tables, .env.example, AsyncAPI, dashboard."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from gateway.asyncapi import asyncapi_document
from gateway.error_meanings import MEANING_OF_CODE
from gateway.error_responses import STATUS_OF_CODE
from gateway.settings import GatewaySettings
from shared.domain.errors import RETRYABLE_CODES, TYPE_OF_CODE
from shared.settings import ServiceSettings
from tests.docs.chart_values import CHART_README, chart_values_table
from tests.docs.dashboard import dashboard_text
from tests.docs.metrics_catalogue import metrics_table
from tests.docs.pages import ROOT, page_with, whole_text
from tests.docs.sizing import sizing_table
from worker.settings import WorkerSettings

ENV_EXAMPLE = ROOT / ".env.example"
ASYNCAPI = ROOT / "gateway" / "asyncapi.json"
DASHBOARD = ROOT / "helm" / "llm-microservice" / "dashboards" / "llm-microservice.json"

_GROUPS = {
    "both": ServiceSettings.model_fields,
    "gateway": {
        n: f for n, f in GatewaySettings.model_fields.items() if n not in ServiceSettings.model_fields
    },
    "worker": {n: f for n, f in WorkerSettings.model_fields.items() if n not in ServiceSettings.model_fields},
}


def settings_table() -> str:
    rows = ["| Variable | Read by | Default | What it is |", "|---|---|---|---|"]
    for group, fields in _GROUPS.items():
        rows += [
            f"| `{name.upper()}` | {group} | {_shown(field) or '(empty)'} | {field.description} |"
            for name, field in fields.items()
        ]
    return "\n".join(rows)


def errors_table() -> str:
    rows = [
        "| Status | `error_code` | What it means | `error_type` | Can the same request succeed later? |",
        "|---|---|---|---|---|",
    ]
    rows += [
        f"| {status} | `{code}` | {MEANING_OF_CODE[code]} | `{TYPE_OF_CODE[code]}` | "
        f"{'yes' if code in RETRYABLE_CODES else 'no'} |"
        for code, status in STATUS_OF_CODE.items()
    ]
    return "\n".join(rows)


def env_example() -> str:
    lines = ["# Copy to .env. Every variable with its default; docs/configuration.md explains them too.", ""]
    for group, fields in _GROUPS.items():
        lines.append(f"# --- read by {'gateway and worker' if group == 'both' else f'the {group}'} ---")
        for name, field in fields.items():
            lines += [f"# {field.description}", f"#{name.upper()}={_plain(field)}"]
        lines.append("")
    return "\n".join(lines)


def asyncapi_text() -> str:
    document = asyncapi_document(GatewaySettings(_env_file=None))
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def tables_of(text: str) -> dict[str, str]:
    """What stands between `<!-- name -->` and `<!-- /name -->`."""
    return {
        name: body.strip() for name, body in re.findall(r"<!-- (\w+) -->\n(.*?)<!-- /\1 -->", text, re.DOTALL)
    }


_SHORT_POINTS = ("c=1", "c=64", "hit c=64", "replay c=64")


def short_bench_table() -> str:
    """A few points, and on what they were measured."""
    table, measured = tables_of(whole_text())["bench"].split("\n\n")[:2]
    head, rule, *rows = table.splitlines()
    shown = [row for row in rows if row.split("|")[1].strip() in _SHORT_POINTS]
    return "\n".join([head, rule, *shown]) + f"\n\n{measured}"


def sizes_table() -> str:
    told = tables_of(whole_text())
    return sizing_table(told["bench"], told["redis_memory"])


MADE = {
    "settings": settings_table,
    "errors": errors_table,
    "metrics": metrics_table,
    "bench_short": short_bench_table,
    "sizes": sizes_table,
}


def write_tables(made: Mapping[str, str], page: Path | None = None) -> None:
    """Put each table between its marks, on whichever page they are."""
    for name, table in made.items():
        where = page or page_with(name)
        before, rest = where.read_text().split(f"<!-- {name} -->\n", 1)
        _, after = rest.split(f"<!-- /{name} -->", 1)
        where.write_text(f"{before}<!-- {name} -->\n{table}\n<!-- /{name} -->{after}")


def write() -> None:
    write_tables({name: make() for name, make in MADE.items()})
    write_tables({"chart_values": chart_values_table()}, CHART_README)
    ENV_EXAMPLE.write_text(env_example())
    ASYNCAPI.write_text(asyncapi_text())
    DASHBOARD.write_text(dashboard_text())


def _shown(field: FieldInfo) -> str:
    plain = _plain(field)
    return f"`{plain}`" if plain else ""


def _plain(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return ",".join(default)
    return f"{default:g}" if isinstance(default, float) else str(default)


if __name__ == "__main__":
    write()
