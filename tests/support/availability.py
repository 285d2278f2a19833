"""Looking for a broker: what this machine lacks, and trying one source after the other."""

from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


class Unavailable(Exception):
    """Why a part cannot run here; shown to whoever reads the test report."""


def first_available(*sources: Callable[[], Found]) -> Found:
    """The first source that does not raise `Unavailable`; all reasons together if every one does."""
    reasons = []
    for source in sources:
        try:
            return source()
        except Unavailable as reason:
            reasons.append(str(reason))
    raise Unavailable("; ".join(reasons))
