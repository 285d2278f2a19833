"""Rows of a Markdown table."""

import statistics
from collections.abc import Iterable, Sequence


def row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Words to the left, figures to the right."""
    return [row(columns), row(["---"] + ["---:"] * (len(columns) - 1)), *map(row, rows)]


def median(values: Iterable[float | None], digits: int) -> str:
    """`?` of nothing known."""
    known = [value for value in values if value is not None]
    return f"{statistics.median(known):.{digits}f}" if known else "?"


def spread(values: Sequence[float]) -> float:
    """From the lowest to the highest, as a share of the median: how much the rounds differ."""
    middle = statistics.median(values)
    return (max(values) - min(values)) / middle if middle else 0.0
