"""A master, a replica and three sentinels, as people run Redis where it must not be away for long."""

import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from tests.support.ports import free_port
from tests.support.processes import Child, NotReadyError, start, wait_until
from tests.support.redis_process import RedisBinary, RedisServer
from tests.support.redis_servers import any_binary
from tests.support.server import AnyRedis

MASTER = "mymaster"
_SENTINELS = 3
_READY_SECONDS = 30
_FAILOVER_SECONDS = 60.0
_POLL_SECONDS = 0.02
_DOWN_AFTER_MS = 1000
_FAILOVER_TIMEOUT_MS = 3000
"""After twice this long a vote that nobody won is tried again."""


class SentinelRedis(AnyRedis):
    """`servers[0]` is the master at the start. Sentinels run until `stop`, unless a test kills one."""

    def __init__(self, binary: RedisBinary, options: Sequence[str] = ()) -> None:
        self._binary = binary
        options = ("--repl-diskless-sync-delay", "0", *options)
        first = RedisServer(binary, options)
        second = RedisServer(binary, (*options, "--replicaof", "127.0.0.1", f"{first.port}"))
        self.servers = (first, second)
        self.sentinel_ports = tuple(free_port() for _ in range(_SENTINELS))
        self._folder: Path | None = None
        self.sentinels: list[Child] = []

    @property
    def name(self) -> str:
        return f"{self._binary.name} with Sentinel"

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.sentinel_ports)
        return f"redis+sentinel://{hosts}/{MASTER}/0"

    @property
    def _monitored_port(self) -> int:
        return self.servers[0].port

    def _encryption(self, sentinel_port: int) -> Sequence[str]:
        """Lines of a sentinel's file."""
        return ()

    def start(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="sentinel-"))
        for server in self.servers:
            server.start()
        replica = self.servers[1]
        wait_until(replica.child, lambda: _is_in_step(replica), "master_link_status:up", _READY_SECONDS)
        self.sentinels = [self._start_sentinel(self._folder, port) for port in self.sentinel_ports]
        for child, port in zip(self.sentinels, self.sentinel_ports, strict=True):
            wait_until(child, lambda port=port: _knows_all(port), "all sentinels meet", _READY_SECONDS)  # type: ignore[misc]

    def stop(self) -> None:
        with ExitStack() as stack:
            for server in self.servers:
                stack.callback(server.stop)
            for child in self.sentinels:
                stack.callback(child.kill)
            self.sentinels = []
            if self._folder:
                stack.callback(shutil.rmtree, self._folder)
                self._folder = None

    def master(self) -> RedisServer:
        """The one that most sentinels name."""
        named = [_master_port(port) for port in self.sentinel_ports]
        port = max(named, key=named.count)
        return next(server for server in self.servers if server.port == port)

    def wait_for_failover(self, old: RedisServer) -> RedisServer:
        """Until every sentinel names another one than `old`, and that one is a master."""
        [new] = [server for server in self.servers if server is not old]
        give_up_at = time.monotonic() + _FAILOVER_SECONDS
        while {_master_port(port) for port in self.sentinel_ports} != {new.port} or not _is_master(new):
            if time.monotonic() > give_up_at:
                raise NotReadyError(f"no failover in {_FAILOVER_SECONDS} s\n{self.sentinels[0].log()}")
            time.sleep(_POLL_SECONDS)
        return new

    def wait_for_replica(self) -> None:
        """Until one of the two follows the other in step, so that the master may be lost again."""
        wait_until(
            self.servers[0].child,
            lambda: any(_is_in_step(server) for server in self.servers),
            "a replica in step",
            _READY_SECONDS,
        )

    def _start_sentinel(self, folder: Path, port: int) -> Child:
        """Each rewrites its own file."""
        file = folder / f"sentinel-{port}.conf"
        lines = (
            f"port {port}",
            "bind 127.0.0.1",
            f"dir {folder}",
            *self._encryption(port),
            f"sentinel monitor {MASTER} 127.0.0.1 {self._monitored_port} 2",
            f"sentinel down-after-milliseconds {MASTER} {_DOWN_AFTER_MS}",
            f"sentinel failover-timeout {MASTER} {_FAILOVER_TIMEOUT_MS}",
        )
        file.write_text("\n".join((*lines, "")))
        command = (self._binary.path, file, "--sentinel")
        return start(command, log_path=folder / f"sentinel-{port}.log", cwd=folder)


def find_sentinel() -> SentinelRedis:
    return SentinelRedis(any_binary())


def _is_in_step(server: RedisServer) -> bool:
    return _info(server).get("master_link_status") == "up"


def _is_master(server: RedisServer) -> bool:
    return _info(server).get("role") == "master"


def _info(server: RedisServer) -> dict[str, Any]:
    try:
        with Redis(port=server.port, socket_timeout=1) as client:
            return dict(client.info("replication"))
    except (RedisError, OSError):
        return {}


def _knows_all(sentinel_port: int) -> bool:
    told = _ask_sentinel(sentinel_port)
    return told.get("num-other-sentinels") == _SENTINELS - 1 and told.get("num-slaves") == 1


def _master_port(sentinel_port: int) -> int:
    return int(_ask_sentinel(sentinel_port).get("port", 0))


def _ask_sentinel(port: int) -> dict[str, Any]:
    try:
        with Redis(port=port, socket_timeout=1) as client:
            return dict(client.sentinel_master(MASTER))
    except (RedisError, OSError):
        return {}
