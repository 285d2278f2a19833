"""One load: what is asked, how often, and what came back."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from tests.bench.asks import Ask
from tests.bench.cores import CpuMeter, CpuUse
from tests.bench.native_programs import Command, load_command
from tests.bench.servers import ROOT
from tests.support import reaper


@dataclass(frozen=True)
class Load:
    """A closed loop of `connections` callers, or `per_second` arrivals whatever becomes of them."""

    port: int
    ask: Ask
    connections: int
    warm_up_seconds: float
    seconds: float
    per_second: float | None = None
    """Poisson arrivals; each is timed from when it was due."""
    most_repeats: int = 0
    """Who is refused with 429 or 503 asks again when Retry-After says, so many times at most."""
    most_requests: int = 0
    tail_seconds: float = 30
    said_every: int = 0
    """Tell of every so many answers."""

    def words(self, body: Path) -> list[str]:
        options: dict[str, object] = {
            "-p": self.port,
            "-u": self.ask.path,
            "-b": body,
            "-e": self.ask.expected,
            "-c": self.connections,
            "-w": self.warm_up_seconds,
            "-d": self.seconds,
            "-r": self.per_second or 0,
            "-q": self.ask.questions,
            "-i": self.ask.ids,
            "-o": self.most_repeats,
            "-n": self.most_requests,
            "-t": self.tail_seconds,
            "-s": self.said_every,
        }
        words = [word for name, value in options.items() for word in (name, f"{value}")]
        return words + [word for header in self.ask.headers for word in ("-H", header)]


@dataclass(frozen=True)
class Outcome:
    """What came back; latencies and answers are of the measured part, faults of all of it."""

    seconds: float
    answers: int
    all_answers: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    most_ms: float
    failed: int
    wrong: int
    refused: int
    """429 and 503."""
    untold_refusals: int
    """Those without Retry-After."""
    repeats: int
    obeyed: int
    """Succeeded after they were refused."""
    obeyed_at_once: int
    """Of them, those whose first repetition succeeded."""
    gave_up: int
    unasked: int
    """Were to ask again when the time was over."""
    asked: int
    """Different requests."""
    retry_after_seconds: list[float]
    """Least, mean, most."""
    statuses: dict[str, int] = field(default_factory=dict)
    first_problem: str = ""

    @property
    def per_second(self) -> float:
        return self.answers / self.seconds if self.seconds else 0.0


class LoadFailed(Exception):
    """The load generator itself gave up; the message is its own."""


class RunningLoad:
    """A load under way. `wait_until_measuring`, `wait_until_measured`, `outcome`, in this order."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self.pid = process.pid

    def wait_until_measuring(self) -> None:
        self._expect(b"measuring")

    def wait_until_measured(self) -> None:
        self._expect(b"measured")

    def answered(self) -> Iterator[int]:
        """Each count that is said, until all is measured."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.strip() == b"measured":
                return
            yield int(line.split()[1])
        raise self._failure()

    def outcome(self) -> Outcome:
        assert self._process.stdout is not None
        said = self._process.stdout.read()  # not communicate(), which forgets what readline read ahead
        if self._process.wait():
            raise self._failure()
        return Outcome(**orjson.loads(said.splitlines()[-1]))

    def _expect(self, word: bytes) -> None:
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != word:
            raise self._failure()

    def _failure(self) -> LoadFailed:
        assert self._process.stderr is not None
        return LoadFailed(self._process.stderr.read().decode(errors="replace"))


@contextmanager
def running_load(load: Load, command: Command | None = None) -> Iterator[RunningLoad]:
    """The program started; it never outlives the block."""
    with tempfile.NamedTemporaryFile(suffix=".json") as body:
        body.write(load.ask.body)
        body.flush()
        words = [*(command or load_command()), *load.words(Path(body.name))]
        pipe = subprocess.PIPE
        with subprocess.Popen(words, stdout=pipe, stderr=pipe, cwd=ROOT, start_new_session=True) as process:
            reaper.watch(process.pid)
            try:
                yield RunningLoad(process)
            finally:
                process.kill()
                reaper.forget(process.pid)


def run_load(load: Load, meter: CpuMeter) -> tuple[Outcome, CpuUse]:
    """And the CPU of the measured part."""
    with running_load(load) as running, meter.including("load", running.pid):
        running.wait_until_measuring()
        meter.restart()
        running.wait_until_measured()
        use = meter.use()
        return running.outcome(), use
