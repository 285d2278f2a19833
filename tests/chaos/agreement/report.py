"""A campaign's verdict: the sources side by side, the figures, and what did not hold."""

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.chaos.agreement.books import Book
from tests.chaos.agreement.evidence import Evidence
from tests.chaos.agreement.judging import violations

_SOURCES = ("ledger", "call facts", "Prometheus", "job facts", "/stats", "answers")
_AMOUNTS = ("answers", "prompt_tokens", "completion_tokens", "nano_dollars")


_MOST_SHOWN = 10


@dataclass(frozen=True)
class Verdict:
    """Of one campaign, for people and for machines."""

    title: str
    lines: tuple[str, ...]
    figures: Mapping[str, Any]
    violations: Mapping[str, tuple[str, ...]]


def markdown_of(verdicts: Sequence[Verdict], brokers: str, command: str) -> str:
    """All of one run."""
    parts = [
        part
        for verdict in verdicts
        for part in (f"## {verdict.title}", "\n".join(verdict.lines), _told(verdict))
    ]
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {brokers}"
    return "\n\n".join([*parts, f"{machine}; {datetime.now(UTC):%Y-%m-%d %H:%M} UTC; `{command}`"]) + "\n"


def write_verdicts(folder: Path, verdicts: Sequence[Verdict], brokers: str, command: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.md").write_text(markdown_of(verdicts, brokers, command))
    (folder / "results.json").write_text(json.dumps([asdict(verdict) for verdict in verdicts], indent=2))


def _told(verdict: Verdict) -> str:
    lines = [
        f"VIOLATED: {statement}: {len(where)}: {'; '.join(where[:_MOST_SHOWN])}"
        for statement, where in verdict.violations.items()
    ]
    return "\n".join(lines) or "All statements hold."


def judge_agreement(title: str, evidence: Evidence) -> Verdict:
    figures = {source: _figures(evidence.books[source]) for source in _SOURCES}
    return Verdict(title, tuple(_lines(evidence, figures)), figures, violations(evidence))


def _figures(book: Book) -> dict[str, int]:
    sums = {name: _sum(book, name) for name in _AMOUNTS}
    return {"calls": book["calls"], **sums, "unpriced": book["unpriced"]}


def _sum(book: Book, amount: str) -> int:
    return sum(count for name, count in book.items() if name.startswith(f"{amount}:"))


def _lines(evidence: Evidence, figures: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    columns = ("calls", *_AMOUNTS, "unpriced")
    yield f"| source | {' | '.join(columns)} |"
    yield "| --- |" + " ---: |" * len(columns)
    for source, told in figures.items():
        yield f"| {source} | {' | '.join(_shown(source, name, told[name]) for name in columns)} |"
    book = evidence.books["/stats"]
    ends = {name: book[name] for name in sorted(book) if name.startswith(("jobs:", "retry:", "error:"))}
    yield ""
    repeated = evidence.facts.repeated
    yield f"{len(evidence.answers)} jobs, {book['hits']} from the cache, {repeated} facts told twice"
    yield f"{evidence.rolled} gateways rolled, {len(evidence.kills)} workers killed; {evidence.seconds:.0f} s"
    yield ", ".join(f"{name} {count}" for name, count in ends.items() if count)
    yield "logged: " + ", ".join(f"{count} x {name}" for name, count in evidence.complaints.items())


def _shown(source: str, name: str, count: int) -> str:
    """Who tells of jobs alone knows no calls."""
    return "" if source == "job facts" and name == "calls" else f"{count}"
