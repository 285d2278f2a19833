"""What a part of the fuzzing found."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")

_MOST_KEPT = 20


@dataclass
class Findings:
    """Cases tried, and what was wrong; the first few in full."""

    part: str
    cases: int = 0
    count: int = 0
    kept: dict[str, str] = field(default_factory=dict)
    started_at: float = field(default_factory=time.monotonic)

    def add(self, what: str, example: str) -> None:
        """One example of each kind is kept."""
        self.count += 1
        if len(self.kept) < _MOST_KEPT:
            self.kept.setdefault(what, example)

    @property
    def line(self) -> str:
        seconds = time.monotonic() - self.started_at
        return f"{self.part}: {self.cases} cases, {self.count} findings, {self.cases / seconds:.0f} cases/s"

    @property
    def story(self) -> str:
        return "\n\n".join([self.line, *(f"{what}\n{example}" for what, example in self.kept.items())])


def counted(cases: Iterable[T], findings: Findings, every: int = 1000) -> Iterator[T]:
    """Each case counted, and a line of progress now and then."""
    for case in cases:
        yield case
        findings.cases += 1
        if findings.cases % every == 0:
            print(findings.line, flush=True)
