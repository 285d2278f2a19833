"""The values of the chart as a table, out of the comments of values.yaml."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[2] / "helm" / "llm-microservice"
CHART_README = CHART / "README.md"
Row = tuple[str, str, str]


def values_rows() -> list[Row]:
    """Path, default and description of each value; a group with a comment has a row without a default."""
    text = (CHART / "values.yaml").read_text()
    root = yaml.compose(text)
    assert isinstance(root, yaml.MappingNode)
    return list(_rows(root, text.splitlines(), ""))


def chart_values_table() -> str:
    rows = ["| Value | Default | What it is |", "|---|---|---|"]
    rows += [
        f"| `{path}` | {f'`{default}`' if default else ''} | {text.replace('|', chr(92) + '|')} |"
        for path, default, text in values_rows()
    ]
    return "\n".join(rows)


def _rows(node: yaml.MappingNode, lines: list[str], path: str) -> Iterator[Row]:
    for key, value in node.value:
        here = f"{path}.{key.value}".strip(".")
        description = _comment_above(lines, key.start_mark.line)
        if _is_group(value):
            if description:
                yield here, "", description
            yield from _rows(value, lines, here)
        else:
            yield here, _default(value), description


def _is_group(node: Any) -> bool:
    """A mapping in braces is a value; one in lines is a group."""
    return isinstance(node, yaml.MappingNode) and not node.flow_style


def _default(node: Any) -> str:
    plain = json.dumps(yaml.safe_load(yaml.serialize(node)), ensure_ascii=False)
    return "" if plain == '""' else plain.strip('"') if isinstance(node, yaml.ScalarNode) else plain


def _comment_above(lines: list[str], line: int) -> str:
    found: list[str] = []
    while line > 0 and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        found.insert(0, lines[line].lstrip().removeprefix("#").strip())
    return " ".join(found)
