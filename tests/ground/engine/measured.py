"""Sizes and start times of the images: the table of README.md."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.bench.report import Report
from tests.ground.helm_chart import ROOT

COLUMNS = ["Image", "MB above its base", "s until it is ready"]
FIGURES = ROOT / ".cache" / "images" / "results.md"


@dataclass
class Measured:
    engine: str = ""
    megabytes: dict[str, float] = field(default_factory=dict)
    start_seconds: dict[str, float] = field(default_factory=dict)

    def table(self) -> str:
        """Empty until every image was weighed and started."""
        if not self.megabytes or self.megabytes.keys() != self.start_seconds.keys():
            return ""
        rows = [
            f"| `{tag}` | {size:.0f} | {self.start_seconds[tag]:.1f} |"
            for tag, size in self.megabytes.items()
        ]
        head = [f"| {' | '.join(COLUMNS)} |", f"|{' --- |' * len(COLUMNS)}"]
        at = datetime.now(UTC).date().isoformat()
        return "\n".join([*head, *rows, "", f"{Report('', '').machine}; {self.engine}; {at}; `make images`"])
