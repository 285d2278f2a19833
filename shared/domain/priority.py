"""Which jobs come first: three lanes, each with its share of the slots while all of them wait."""

import re
from collections.abc import Mapping
from typing import Literal

Priority = Literal["high", "normal", "low"]
PRIORITIES: tuple[Priority, ...] = ("high", "normal", "low")
"""The most urgent first."""
Weights = Mapping[Priority, int]

MOST_WEIGHT = 100
_WEIGHTS = re.compile("([0-9]{1,3}):([0-9]{1,3}):([0-9]{1,3})")


def parse_weights(text: str) -> Weights:
    """`high:normal:low`; a lane of weight 0 would starve."""
    found = _WEIGHTS.fullmatch(text)
    weights = [int(number) for number in found.groups()] if found else []
    if not weights or not all(1 <= weight <= MOST_WEIGHT for weight in weights):
        raise ValueError(f"not three whole numbers of 1 to {MOST_WEIGHT}, high:normal:low")
    return dict(zip(PRIORITIES, weights, strict=True))


DEFAULT_WEIGHTS = "6:3:1"


def lane_name(name: str, priority: Priority) -> str:
    """Of a lane's topic or consumer group; the normal one has the name as it is."""
    return name if priority == "normal" else f"{name}.{priority}"


def lanes_of(name: str) -> dict[Priority, str]:
    """The names of all lanes."""
    return {priority: lane_name(name, priority) for priority in PRIORITIES}
