"""Containers as the engine tells of them."""

import time
from collections.abc import Callable
from datetime import datetime

from tests.ground.engine.docker_engine import Engine
from tests.ground.engine.product_images import inspect


def wait_until_true(is_true: Callable[[], bool], what: str, timeout_seconds: float = 120) -> None:
    end = time.monotonic() + timeout_seconds
    while not is_true():
        assert time.monotonic() < end, f"not within {timeout_seconds:g} s: {what}"
        time.sleep(0.2)


def is_healthy(engine: Engine, container: str) -> bool:
    state = inspect(engine, container)["State"]
    assert state["Status"] == "running", engine.run([engine.docker, "logs", container]).stderr[-3000:]
    return bool(state["Health"]["Status"] == "healthy")


def wait_until_healthy(engine: Engine, container: str) -> None:
    wait_until_true(lambda: is_healthy(engine, container), f"{container} is healthy")


def seconds_until(engine: Engine, container: str, line: str) -> float:
    """From the start of the container to the first line of its log that holds this."""
    wait_until_true(lambda: bool(_instants(engine, container, line)), f"{container} says {line}")
    return min(_instants(engine, container, line)) - _instant(
        inspect(engine, container)["State"]["StartedAt"]
    )


def _instants(engine: Engine, container: str, line: str) -> list[float]:
    logs = engine.run([engine.docker, "logs", "--timestamps", container])
    told = (logs.stdout + logs.stderr).splitlines()
    return [_instant(text.split(" ", 1)[0]) for text in told if line in text]


def _instant(text: str) -> float:
    """Nanoseconds are more than Python reads."""
    return datetime.fromisoformat(f"{text[:26].rstrip('Z')}+00:00").timestamp()
