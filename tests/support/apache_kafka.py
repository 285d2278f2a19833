"""Apache Kafka in KRaft mode: one node, or a cluster whose nodes can be killed one by one."""

import shutil
import subprocess
import tempfile
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.support.kafka_distribution import KafkaDistribution, make_once
from tests.support.kafka_properties import kafka_properties
from tests.support.ports import free_port
from tests.support.processes import Child, NotReadyError, start, wait_for_line
from tests.support.server import AnyKafka

_LOG4J = Path(__file__).with_name("kafka_log4j2.properties")
_JVM = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xlog:disable")


class ApacheKafka(AnyKafka):
    """Node ids count from 1; data lives until `stop`, so a killed node can be started again.

    With three nodes or more every topic has 3 replicas and `min.insync.replicas=2`. `properties` are
    broker settings that win over the ones made here; `scram_users` are names with their passwords.
    """

    def __init__(
        self,
        distribution: KafkaDistribution,
        *,
        nodes: int = 1,
        properties: Mapping[str, str] | None = None,
        scram_users: Mapping[str, str] | None = None,
    ) -> None:
        self._distribution = distribution
        self._properties = dict(properties or {})
        self._scram_users = dict(scram_users or {})
        self._ports = {node: free_port() for node in range(1, nodes + 1)}
        self._advertised = dict(self._ports)
        self._controllers = {node: free_port() for node in self._ports}
        self._cluster_id = _random_id()
        self._folder: Path | None = None
        self._children: dict[int, Child] = {}
        self._make_class_archive = False

    @property
    def name(self) -> str:
        nodes = f", {len(self._ports)} nodes" if len(self._ports) > 1 else ""
        return f"Apache Kafka {self._distribution.version} (KRaft, {self._distribution.source}{nodes})"

    @property
    def bootstrap_servers(self) -> str:
        return ",".join(f"127.0.0.1:{port}" for port in self._advertised.values())

    @property
    def node_ids(self) -> tuple[int, ...]:
        return tuple(self._ports)

    def port(self, node: int = 1) -> int:
        """Where the node listens, known before it is started: a proxy's target."""
        return self._ports[node]

    def advertise(self, node: int, port: int) -> None:
        """Before `start`: clients shall come through this port, a proxy's."""
        self._advertised[node] = port

    def child(self, node: int = 1) -> Child:
        """The node's process, to pause and resume it or to read its log."""
        return self._children[node]

    def start(self) -> None:
        if not self._make_class_archive:
            _prepare(self._distribution)
        self._folder = Path(tempfile.mkdtemp(prefix="kafka-"))
        for node in self._ports:
            self._format(node)
            self._launch(node)
        for node in self._ports:
            self._wait_for(node)

    def stop(self) -> None:
        """Kills: the data goes too, and nodes that leave one by one would wait for a lost quorum."""
        for child in self._children.values():
            child.kill()
        self._children.clear()
        if self._folder:
            shutil.rmtree(self._folder)
            self._folder = None

    def kill_node(self, node: int = 1) -> None:
        self._children[node].kill()

    def stop_node(self, node: int = 1) -> None:
        """A controlled shutdown: leadership moves away before the node ends."""
        self._children[node].terminate(timeout_seconds=60)

    def start_node(self, node: int = 1) -> None:
        """On the same ports, with the data it had."""
        self._launch(node)
        self._wait_for(node)

    def _launch(self, node: int) -> None:
        folder, distribution = self._node_folder(node), self._distribution
        command: list[str | Path] = [distribution.java, *_JVM, f"-Dlog4j2.configurationFile={_LOG4J}"]
        if self._make_class_archive:
            command.append(f"-XX:ArchiveClassesAtExit={folder / 'broker.jsa'}")
        elif distribution.class_archive.exists():
            command.append(f"-XX:SharedArchiveFile={distribution.class_archive}")
        command += ["-cp", distribution.classpath, "kafka.Kafka", folder / "server.properties"]
        self._children[node] = start(command, log_path=folder / "broker.log", cwd=folder)

    def _wait_for(self, node: int) -> None:
        wait_for_line(self._children[node], "Kafka Server started", timeout_seconds=90)

    def _format(self, node: int) -> None:
        folder = self._node_folder(node)
        data = folder / "data"
        data.mkdir(parents=True)
        lines = kafka_properties(node, data, self._ports, self._advertised, self._controllers)
        _write_properties(folder / "server.properties", lines | self._properties)
        if self._scram_users:
            self._format_with_users(folder / "server.properties")
            return
        if self._distribution.bootstrap_checkpoint.exists():
            shutil.copy(self._distribution.bootstrap_checkpoint, data)
        meta = {"version": "1", "cluster.id": self._cluster_id, "node.id": f"{node}"}
        _write_properties(data / "meta.properties", meta | {"directory.id": _random_id()})

    def _format_with_users(self, settings: Path) -> None:
        users = [
            f"{mechanism}=[name={name},password={password}]"
            for name, password in self._scram_users.items()
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
        ]
        options = [word for user in users for word in ("--add-scram", user)]
        _run_storage_tool(self._distribution, "format", "-t", self._cluster_id, "-c", settings, *options)

    def _node_folder(self, node: int) -> Path:
        assert self._folder, "not started"
        return self._folder / f"node-{node}"


def _prepare(distribution: KafkaDistribution) -> None:
    """Once a cache: what `StorageTool format` writes, and the class archive."""
    make_once(distribution.bootstrap_checkpoint, lambda draft: _format_once(distribution, draft))
    with suppress(NotReadyError, FileNotFoundError):  # an archive is only about speed
        make_once(distribution.class_archive, lambda draft: _archive_classes(distribution, draft))


def _format_once(distribution: KafkaDistribution, draft: Path) -> None:
    """The checkpoint names the cluster's features, the same for every cluster: it can be copied.

    That saves a JVM start per node and run. The other file the tool writes is `meta.properties`.
    """
    folder = draft.parent / "formatted"
    settings = draft.parent / "format.properties"
    _write_properties(settings, kafka_properties(1, folder, {1: 1}, {1: 1}, {1: 2}))
    _run_storage_tool(distribution, "format", "-t", _random_id(), "-c", settings)
    (folder / "bootstrap.checkpoint").rename(draft)


def _run_storage_tool(distribution: KafkaDistribution, *words: str | Path) -> None:
    tool = [distribution.java, *_JVM, "-cp", distribution.classpath, "kafka.tools.StorageTool", *words]
    subprocess.run([str(word) for word in tool], check=True, capture_output=True)


def _archive_classes(distribution: KafkaDistribution, draft: Path) -> None:
    """The JVM writes the archive of what a broker loads when that broker ends in peace."""
    broker = ApacheKafka(distribution)
    broker._make_class_archive = True
    with broker:
        broker.stop_node()
        shutil.move(broker._node_folder(1) / "broker.jsa", draft)


def _write_properties(path: Path, properties: Mapping[str, str]) -> None:
    path.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))


def _random_id() -> str:
    """Kafka's spelling of a UUID; its own never start with a dash, which would read like an option."""
    return urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
