"""What the campaigns came to, for stdout and for `.cache/chaos`."""

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos.outcome import COLUMNS, Outcome


def markdown(outcomes: Sequence[Outcome], surroundings: str, command: str) -> str:
    """The table, the machine and the command, the figures, the verdict."""
    rows = [_row(COLUMNS), _row(["---"] * len(COLUMNS)), *(_row(outcome.cells) for outcome in outcomes)]
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {surroundings}"
    remarks = [f"- {outcome.remarks}" for outcome in outcomes]
    verdict = [
        f"- {outcome.evidence.fault}: {violation}" for outcome in outcomes for violation in outcome.violations
    ]
    paragraphs = [
        rows,
        [f"{machine}; {datetime.now(UTC):%Y-%m-%d %H:%M} UTC; `{command}`"],
        remarks,
        verdict or ["All invariants hold."],
    ]
    return "\n\n".join("\n".join(lines) for lines in paragraphs) + "\n"


def write_results(folder: Path, outcomes: Sequence[Outcome], surroundings: str, command: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.md").write_text(markdown(outcomes, surroundings, command))
    results = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "surroundings": surroundings,
        "command": command,
        "campaigns": [outcome.as_json() for outcome in outcomes],
    }
    (folder / "results.json").write_text(json.dumps(results, indent=2))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
