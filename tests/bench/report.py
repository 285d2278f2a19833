"""The figures as a Markdown table and as JSON."""

import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import orjson

from tests.bench.calls_section import first_token_lines, in_flight_lines
from tests.bench.cores import CAN_PIN
from tests.bench.first_token import FirstToken
from tests.bench.in_flight import InFlight
from tests.bench.lanes import LaneRun
from tests.bench.lanes_section import lanes_lines
from tests.bench.limits_section import (
    latency_lines,
    memory_lines,
    overload_lines,
    scaling_lines,
    start_lines,
)
from tests.bench.machine import machine, python
from tests.bench.memory import Memory
from tests.bench.native_programs import language
from tests.bench.open_loop import OpenPoint
from tests.bench.peers_section import peers_lines
from tests.bench.run_plots import save_plots
from tests.bench.scaling import Scaled
from tests.bench.stages import StageBudget
from tests.bench.stages_section import stages_lines
from tests.bench.start_time import StartTimes
from tests.bench.telemetry import Telemetry, telemetry_lines
from tests.bench.throughput import Sample
from tests.bench.throughput_section import throughput_lines

Measured = OpenPoint | Scaled | Memory | Sample | StageBudget | InFlight | FirstToken | LaneRun


@dataclass
class Report:
    """Everything one run of the bench found out."""

    command: str
    brokers: str
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    machine: str = field(default_factory=machine)
    python: str = field(default_factory=python)
    system: str = field(default_factory=platform.platform)
    load_side: str = field(default_factory=language)
    settings: dict[str, str] = field(default_factory=dict)
    """Of the service, where they were not the defaults."""
    placement: str = (
        "gateway and worker share core 0; broker, Redis, provider and load have the rest"
        if CAN_PIN
        else "NOT pinned: this machine cannot bind a process to a core, so req/s are of all its cores"
    )
    throughput: list[Sample] = field(default_factory=list)
    stages: StageBudget | None = None
    latency: list[OpenPoint] = field(default_factory=list)
    max_queue_seconds: float = 0.0
    """`LLM_MAX_QUEUE_SECONDS` of the overload."""
    overload: list[OpenPoint] = field(default_factory=list)
    scaling: list[Scaled] = field(default_factory=list)
    start: StartTimes | None = None
    memory: Memory | None = None
    in_flight: InFlight | None = None
    first_token: FirstToken | None = None
    telemetry: Telemetry | None = None
    lanes: list[LaneRun] = field(default_factory=list)
    peers: dict[str, str] = field(default_factory=dict)
    """Name and version of who was measured beside us."""
    notes: list[str] = field(default_factory=list)

    @property
    def problem(self) -> str:
        """The first wrong or missing answer; empty if there was none."""
        bad = (part for part in self._measured() if part.failed or part.wrong)
        return next((part.first_problem or "failed" for part in bad), "")

    def save(self, folder: Path) -> None:
        save_plots(asdict(self), folder)
        (folder / "results.md").write_text(self.markdown())
        (folder / "results.json").write_bytes(orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2))

    def markdown(self) -> str:
        settings = " ".join(f"`{name}={value}`" for name, value in self.settings.items())
        facts = {
            "Command": f"`{self.command}`, {self.at}",
            "Machine": f"{self.machine}; {self.python}; {self.system}",
            "Brokers": self.brokers,
            "Placement": self.placement,
            "Load and provider": self.load_side,
            "Settings": settings or "the defaults",
        }
        lines = ["# Bench", "", *(f"- {name}: {fact}" for name, fact in facts.items())]
        lines += [f"- Note: {note}" for note in self.notes]
        for section in self._sections():
            lines += ["", *section]
        return "\n".join([*lines, "", f"Wrong or failed answers: {self.problem or 'none'}", ""])

    def _measured(self) -> Iterator[Measured]:
        points: list[Measured] = [*self.throughput, *self.latency, *self.overload, *self.scaling]
        yield from points
        yield from self.lanes
        parts: list[Measured | None] = [self.stages, self.memory, self.in_flight, self.first_token]
        yield from (part for part in parts if part is not None)

    def _sections(self) -> Iterator[list[str]]:
        """Of what was measured."""
        sections = (
            throughput_lines(self.throughput) if self.throughput else [],
            peers_lines(self.throughput, self.peers) if self.peers else [],
            stages_lines(self.stages) if self.stages else [],
            latency_lines(self.latency) if self.latency else [],
            overload_lines(self.overload, self.max_queue_seconds) if self.overload else [],
            scaling_lines(self.scaling) if self.scaling else [],
            start_lines(self.start) if self.start else [],
            memory_lines(self.memory) if self.memory else [],
            in_flight_lines(self.in_flight) if self.in_flight else [],
            first_token_lines(self.first_token) if self.first_token else [],
            telemetry_lines(self.telemetry) if self.telemetry else [],
            lanes_lines([asdict(run) for run in self.lanes]) if self.lanes else [],
        )
        yield from (section for section in sections if section)
