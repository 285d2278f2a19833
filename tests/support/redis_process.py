"""Redis or Valkey as a child process that can be killed, paused and started again."""

import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import free_port
from tests.support.processes import Child, start, wait_until
from tests.support.server import AnyRedis

DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
"""Options under which an acknowledged write survives `kill`."""


@dataclass(frozen=True)
class RedisBinary:
    path: Path

    @property
    def name(self) -> str:
        said = subprocess.run([self.path, "--version"], capture_output=True, check=True).stdout.decode()
        match = re.match(r"(\w+) server v=(\S+)", said)
        return f"{match[1]} {match[2]}" if match else self.path.name


class RedisServer(AnyRedis):
    """The port and the data folder stay the same through every kill and restart."""

    def __init__(self, binary: RedisBinary, options: Sequence[str] = ()) -> None:
        self._binary = binary
        self._options = options
        self._folder: Path | None = None
        self._child: Child | None = None
        self.port = free_port()

    @property
    def name(self) -> str:
        return self._binary.name

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def child(self) -> Child:
        """The running server, to pause and resume it or to read its log."""
        assert self._child, "not started"
        return self._child

    def start(self) -> None:
        self._folder = self._folder or Path(tempfile.mkdtemp(prefix="redis-"))
        words = ["--bind", "127.0.0.1", "--port", f"{self.port}", "--dir", f"{self._folder}", "--save", ""]
        command = [f"{self._binary.path}", *words, *self._options]
        self._child = start(command, log_path=self._folder / "server.log", cwd=self._folder)
        wait_until(self._child, self._answers, "PONG", timeout_seconds=15)

    def kill(self) -> None:
        """kill -9."""
        self.child.kill()

    def restart(self) -> None:
        """Ends it in peace if it still runs; after `kill` it just starts again."""
        self.child.terminate()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nobody answers."""
        self.child.pause()

    def resume(self) -> None:
        self.child.resume()

    def stop(self) -> None:
        if self._child:
            self._child.kill()
            self._child = None
        if self._folder:
            shutil.rmtree(self._folder)
            self._folder = None

    def _answers(self) -> bool:
        """A port that listens is not enough: a restarted server first loads its data."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False
