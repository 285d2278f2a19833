"""The product's own processes, started as a user starts them."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from tests.support.ports import free_port
from tests.support.processes import Child, start, wait_for_line, wait_until

ROOT = Path(__file__).parents[2]
_OWN_PREFIXES = ("LLM_", "REDIS_", "KAFKA_", "WORKER_", "OPENAI_", "OTEL_")


@dataclass(frozen=True)
class Service:
    """A running gateway, or the service in one process."""

    url: str
    child: Child


def clean_environment(**settings: str) -> dict[str, str]:
    """The caller's environment without settings of the product, and then `settings`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OWN_PREFIXES)}
    return {**kept, "PYTHONPATH": str(ROOT), **settings}


@contextmanager
def one_process(folder: Path, **settings: str) -> Iterator[Service]:
    """`python main.py`."""
    with _serve([sys.executable, ROOT / "main.py"], folder, "one-process", settings) as service:
        yield service


@contextmanager
def gateway(folder: Path, name: str = "gateway", **settings: str) -> Iterator[Service]:
    """`python -m gateway`."""
    with _serve([sys.executable, "-m", "gateway"], folder, name, settings) as service:
        yield service


@contextmanager
def worker(folder: Path, name: str = "worker", **settings: str) -> Iterator[Child]:
    """`python -m worker`, ready when its partitions are assigned."""
    env = clean_environment(WORKER_HEALTH_PORT="0", LLM_LOG_FILE=str(folder / f"{name}.jsonl"), **settings)
    with start(
        [sys.executable, "-m", "worker"], log_path=folder / f"{name}.log", env=env, cwd=folder
    ) as child:
        wait_for_line(child, "worker_ready", 60)
        wait_for_line(child, "partitions_assigned", 60)
        yield child


def logged(child: Child, event: str) -> list[dict[str, object]]:
    """The lines of one event in a child's log."""
    lines = [orjson.loads(line) for line in child.log().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


@contextmanager
def _serve(argv: list[str | Path], folder: Path, name: str, settings: Mapping[str, str]) -> Iterator[Service]:
    port = free_port()
    env = clean_environment(LLM_PORT=str(port), LLM_LOG_FILE=str(folder / f"{name}.jsonl"), **settings)
    with start(argv, log_path=folder / f"{name}.log", env=env, cwd=folder) as child:
        wait_until(child, lambda: "gateway_ready" in child.log(), "gateway_ready", 60)
        yield Service(f"http://127.0.0.1:{port}", child)
