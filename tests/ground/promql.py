"""Which metrics a query names."""

import re
from collections.abc import Iterable

_NO_NAMES = re.compile(
    r'"(?:[^"\\]|\\.)*"'  # texts
    r"|\{[^}]*\}|\[[^\]]*\]"  # selectors and ranges
    r"|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)"
)
_NAME = re.compile(r"(?<![\w.$])[a-zA-Z_:][\w:]*(?!\s*\()\b")
_WORDS = frozenset({"and", "or", "unless", "bool", "offset", "sum", "avg", "min", "max", "count", "topk"})


def names_in(expression: str) -> set[str]:
    """The metrics of a query."""
    rest = _NO_NAMES.sub(" ", re.sub(r'\{(?:[^}"]|"[^"]*")*\}', " ", expression))
    return {name for name in _NAME.findall(rest) if name.lower() not in _WORDS}


def unknown_names(expressions: Iterable[str], known: set[str]) -> set[str]:
    return set().union(*map(names_in, expressions)) - known
