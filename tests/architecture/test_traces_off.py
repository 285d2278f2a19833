"""While traces are off, nothing of them is loaded or in the way of a request or a job."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_PRINT_LOADED = """
import importlib, sys
programs = sys.argv[1:]
for name in programs:
    importlib.import_module(name)
from shared.telemetry.tracing import tracing_to
with tracing_to(None, "service", "1") as tracing:
    assert tracing is None
if "gateway.__main__" in programs:
    from gateway.main import create_app
    from gateway.settings import GatewaySettings
    app = create_app(GatewaySettings(_env_file=None), tracing=tracing)
    print(*(layer.cls.__name__ for layer in app.user_middleware))
else:
    from worker.llm.traced_client import traced
    from worker.main import _handle
    client, handler = object(), type("Handler", (), {"handle": "handle"})
    assert traced(client, tracing, "http://x") is client
    assert _handle(handler, tracing, "group") is handler.handle
print(*sorted(name for name in sys.modules if name.startswith(("opentelemetry.", "google.protobuf"))))
print(*sorted(name for name in sys.modules if name.startswith("shared.telemetry.otel")))
"""
_SDK = ("opentelemetry.exporter", "opentelemetry.proto", "google.protobuf")
_NOT_THERE = "import sys; sys.modules['opentelemetry'] = None\n"
"""A worker without the extra; redis, faststream and langsmith load parts of the SDK wherever they find it."""


def loaded(program: str, before: str = "") -> list[list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", before + _PRINT_LOADED, program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [line.split() for line in done.stdout.split("\n")]


@pytest.mark.parametrize("program", ["gateway.__main__", "worker.__main__"])
def test_the_exporter_and_our_use_of_it_are_not_loaded(program: str) -> None:
    *_, libraries, ours, _ = loaded(program)
    assert [name for name in libraries if name.startswith(_SDK)] == []
    assert ours == []


def test_a_worker_without_the_extra_loads_nothing_of_opentelemetry() -> None:
    assert loaded("worker.__main__", _NOT_THERE) == [[], [], []]


def test_a_gateway_has_no_layer_for_them() -> None:
    assert loaded("gateway.__main__")[0] == ["RequestBoundary"]
