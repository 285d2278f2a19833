"""noida-db from PyPI: the Kafka protocol without Java, Maven or Docker.

Know its limits: it never evicts a killed group member until another joins, and loses the last second or
two on SIGKILL. What needs the real thing asks for Apache Kafka.
"""

import importlib.metadata
import importlib.util
import shutil
import tempfile
from pathlib import Path

from tests.support.availability import Unavailable
from tests.support.ports import free_port
from tests.support.processes import Child, start, wait_for_port
from tests.support.server import AnyKafka


class NoidaKafka(AnyKafka):
    """The binary itself, not its Python launcher: signals must reach the broker."""

    def __init__(self) -> None:
        found = importlib.util.find_spec("noida_db")
        if not found or not found.origin:
            raise Unavailable("the PyPI package noida-db is not installed")
        self._binary = Path(found.origin).with_name("noida-db")
        self._port = free_port()
        self._folder: Path | None = None
        self.child: Child | None = None

    @property
    def name(self) -> str:
        return f"noida-db {importlib.metadata.version('noida-db')}"

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Also after `kill`: on the same port, with the data it had saved."""
        self._folder = self._folder or Path(tempfile.mkdtemp(prefix="noida-"))
        self._binary.chmod(0o755)  # as its launcher does; wheels may lose the bit
        where = ["--data-dir", f"{self._folder / 'data'}", "--kafka-port", f"{self._port}"]
        command = [f"{self._binary}", "start", "--only", "kafka", *where]
        self.child = start(command, log_path=self._folder / "noida.log", cwd=self._folder)
        wait_for_port("127.0.0.1", self._port, 15, self.child)

    def kill(self) -> None:
        assert self.child, "not started"
        self.child.kill()

    def stop(self) -> None:
        if self.child:
            self.child.kill()
        if self._folder:
            shutil.rmtree(self._folder)
            self._folder = None
