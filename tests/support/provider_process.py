"""The scripted provider as a child process, and what a test asks of it."""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx

from tests.support.ports import free_port
from tests.support.processes import Child, start, wait_for_line
from tests.support.provider_ledger import Call
from tests.support.server import Server

_ROOT = Path(__file__).parents[2]


class ScriptedProvider(Server):
    """The port stays the same when it is killed and started again; its ledger does not survive that."""

    def __init__(self) -> None:
        self._port = free_port()
        self._folder: Path | None = None
        self._child: Child | None = None

    @property
    def name(self) -> str:
        return "scripted provider"

    @property
    def base_url(self) -> str:
        """What a client takes as its base URL."""
        return f"{self._root}/v1"

    @property
    def child(self) -> Child:
        assert self._child, "not started"
        return self._child

    def start(self) -> None:
        self._folder = self._folder or Path(tempfile.mkdtemp(prefix="provider-"))
        command = [sys.executable, "-m", "tests.support.scripted_provider", "--port", f"{self._port}"]
        self._child = start(command, log_path=self._folder / "provider.log", cwd=_ROOT)
        wait_for_line(self._child, "listening on")

    def stop(self) -> None:
        if self._child:
            self._child.kill()
            self._child = None
        if self._folder:
            shutil.rmtree(self._folder)
            self._folder = None

    def ledger(self) -> list[Call]:
        """Every call so far, in order of arrival."""
        return [Call(**call) for call in self._ask("GET", "/ledger")]

    def running_at(self, at: float) -> list[Call]:
        """The calls that were in flight at an instant of `time.time`."""
        return [Call(**call) for call in self._ask("GET", f"/ledger?running_at={at!r}")]

    def calls_after(self, number: int) -> list[Call]:
        """The calls that came after this one."""
        return [Call(**call) for call in self._ask("GET", f"/ledger?after={number}")]

    def calls_of(self, message: str) -> list[Call]:
        """The calls whose last user message was this one."""
        return [call for call in self.ledger() if call.message == message]

    def count(self) -> int:
        return int(self._ask("GET", "/ledger/count")["count"])

    def clear(self) -> None:
        """An empty ledger and the usual script: an instant answer to everything."""
        self._ask("DELETE", "/ledger")
        self.script()

    def script(self, **settings: Any) -> None:
        """`latency_ms`, `latency_ms_max`, `seed`, `failures=[{"status": 500, "times": 3}, ...]`."""
        self._ask("PUT", "/script", json=settings)

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        answer = httpx.request(method, self._root + path, timeout=60, **more)
        assert answer.is_success, answer.text
        return answer.json()

    @property
    def _root(self) -> str:
        return f"http://127.0.0.1:{self._port}"
