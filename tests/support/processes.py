"""Child processes that never outlive the test process, and waiting until they are ready."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from tests.support import reaper
from tests.support.ports import free_port

__all__ = [
    "Child",
    "NotReadyError",
    "free_port",
    "start",
    "wait_for_end",
    "wait_for_line",
    "wait_for_port",
    "wait_until",
]

_TAIL_LINES = 30
_POLL_SECONDS = 0.01


class NotReadyError(Exception):
    """A child ended, or did not become ready in time; the message ends with the tail of its log."""


class Child:
    """A running program in a session of its own, so that its whole tree can be ended at once."""

    def __init__(self, process: subprocess.Popen[bytes], log_path: Path, log_offset: int) -> None:
        self._process = process
        self._log_offset = log_offset
        self._is_finished = False
        self.log_path = log_path

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def log(self) -> str:
        """What this run wrote; earlier runs may have used the same file."""
        with self.log_path.open("rb") as file:
            file.seek(self._log_offset)
            return file.read().decode(errors="replace")

    def send_signal(self, number: int) -> None:
        """To the whole process group, like a terminal would."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def pause(self) -> None:
        """SIGSTOP: alive for the kernel, silent for everybody else; returns when the last thread stands."""
        self.send_signal(signal.SIGSTOP)
        if sys.platform == "linux":
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        self.send_signal(signal.SIGCONT)

    def wait(self, timeout_seconds: float = 30) -> int:
        """The exit code (negative: the signal); raises subprocess.TimeoutExpired."""
        code = self._process.wait(timeout_seconds)
        self._finish([])
        return code

    def terminate(self, timeout_seconds: float = 15) -> int:
        """SIGTERM to the program itself, then SIGKILL to what is left of the tree."""
        tree = _descendants(self.pid)  # once the program has ended nobody knows who came from it
        if self.is_alive():
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout_seconds)
        return self._finish(tree)

    def kill(self) -> int:
        """SIGKILL to the whole tree."""
        return self._finish(_descendants(self.pid))

    def _finish(self, tree: list[psutil.Process]) -> int:
        if not self._is_finished:
            self._is_finished = True  # its number may soon be somebody else's
            reaper.kill_group(self.pid)
            self._process.wait()
            for runaway in tree:  # into a session of its own
                with suppress(psutil.NoSuchProcess):
                    runaway.kill()
            reaper.forget(self.pid)
        return self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.terminate()


def start(
    argv: Sequence[str | Path],
    *,
    log_path: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Child:
    """Starts a program; its output is appended to `log_path`, `env=None` inherits the environment."""
    with log_path.open("ab") as log:
        offset = log.tell()  # before the child shares the file's position
        process = subprocess.Popen(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            start_new_session=True,
        )
        reaper.watch(process.pid)
        return Child(process, log_path, offset)


def wait_until(child: Child, is_ready: Callable[[], bool], what: str, timeout_seconds: float = 30) -> None:
    """Polls, because no broker announces its readiness in a way that all of them share."""
    deadline = time.monotonic() + timeout_seconds
    while not is_ready():
        if not child.is_alive():
            raise NotReadyError(_story(child, f"ended with {child.wait()} before {what}"))
        if time.monotonic() > deadline:
            raise NotReadyError(_story(child, f"not ready in {timeout_seconds} s: {what}"))
        time.sleep(_POLL_SECONDS)


def wait_for_port(host: str, port: int, timeout_seconds: float, child: Child) -> None:
    wait_until(child, lambda: _listens(host, port), f"listening on {host}:{port}", timeout_seconds)


def wait_for_line(child: Child, text: str, timeout_seconds: float = 30) -> str:
    """The first whole line of this run's output that holds `text`."""
    found: list[str] = []

    def is_written() -> bool:
        found[:] = [line for line in child.log().splitlines(keepends=True) if text in line]
        return bool(found) and found[0].endswith("\n")

    wait_until(child, is_written, f"the line {text!r}", timeout_seconds)
    return found[0].rstrip("\n")


def wait_for_end(pid: int, timeout_seconds: float = 10) -> None:
    """Of a process that is not our child; one that nobody has buried yet (a zombie) has ended."""
    deadline = time.monotonic() + timeout_seconds
    while _runs(pid):
        if time.monotonic() > deadline:
            raise NotReadyError(f"process {pid} still runs after {timeout_seconds} s")
        time.sleep(_POLL_SECONDS)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def _descendants(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


def _story(child: Child, what: str) -> str:
    tail = "\n".join(child.log().splitlines()[-_TAIL_LINES:])
    return f"{what}\n--- {child.log_path.name} ---\n{tail}"
