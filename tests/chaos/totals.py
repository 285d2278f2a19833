"""The sums of `/stats` against the answers that callers read."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from tests.chaos.evidence import Evidence
from tests.chaos.offered_job import body_of, status_of

_TOKENS = ("prompt_tokens", "completion_tokens")


def totals_of(told: Mapping[str, Any]) -> dict[str, int]:
    """The part that can be compared: what a success adds."""
    return {"succeeded": told["requests"]["succeeded"], **{name: told["tokens"][name] for name in _TOKENS}}


def totals_equal_answers(evidence: Evidence) -> Iterable[str]:
    read: Counter[str] = Counter()
    for job in evidence.jobs:
        if job.first_read is not None and status_of(job.first_read) == "succeeded":
            usage = body_of(job.first_read).get("usage") or {}
            read.update({"succeeded": 1, **{name: usage.get(name, 0) for name in _TOKENS}})
    for name, total in evidence.totals.items():
        if total != read[name]:
            yield f"{name}: /stats says {total}, the answers {read[name]}"
