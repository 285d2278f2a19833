"""Three masters with a replica each, as people run a Redis Cluster."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from tests.support.ports import free_port
from tests.support.processes import NotReadyError
from tests.support.redis_process import RedisBinary, RedisServer
from tests.support.redis_servers import any_binary
from tests.support.server import AnyRedis

_MASTERS = 3
_SLOTS = 16_384
_PATIENCE_SECONDS = 40.0
_POLL_SECONDS = 0.02
_OPTIONS = (
    *("--cluster-enabled", "yes"),
    *("--cluster-node-timeout", "1000"),
    *("--cluster-replica-validity-factor", "0"),
    *("--repl-diskless-sync-delay", "0"),
)


class RedisCluster(AnyRedis):
    """`masters[n]` has the n-th third of the slots; `replicas[n]` follows it, if there are any."""

    def __init__(
        self, binary: RedisBinary, options: Sequence[str] = (), *, has_replicas: bool = False
    ) -> None:
        self._binary = binary
        self._options = options
        self.masters = [self._server() for _ in range(_MASTERS)]
        self.replicas = [self._server() for _ in range(_MASTERS if has_replicas else 0)]

    @property
    def name(self) -> str:
        return f"{self._binary.name} as a cluster of {_MASTERS} masters"

    @property
    def url(self) -> str:
        return f"redis+cluster://{','.join(f'127.0.0.1:{server.port}' for server in self.masters)}"

    @property
    def servers(self) -> list[RedisServer]:
        return [*self.masters, *self.replicas]

    def start(self) -> None:
        for server in self.servers:
            server.start()
        for number, master in enumerate(self.masters):
            first, last = number * _SLOTS // _MASTERS, (number + 1) * _SLOTS // _MASTERS - 1
            _do(master, "CLUSTER", "ADDSLOTSRANGE", first, last)
            _do(master, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for server in self.servers[1:]:
            _do(server, "CLUSTER", "MEET", "127.0.0.1", self.masters[0].port, self._bus(self.masters[0]))
        _wait(lambda: all(_knows(server) == len(self.servers) for server in self.servers), "all nodes meet")
        for master, replica in zip(self.masters, self.replicas, strict=False):
            _do(replica, "CLUSTER", "REPLICATE", _do(master, "CLUSTER", "MYID"))
        self.wait_until_whole()

    def stop(self) -> None:
        with ExitStack() as stack:
            for server in self.servers:
                stack.callback(server.stop)

    def wait_until_whole(self) -> None:
        """Every slot has a master, by every node that lives, and every replica is in step."""
        _wait(lambda: all(_is_ok(server) for server in self.servers), "the cluster is whole")

    def allow_failover(self, *, is_allowed: bool) -> None:
        """Whether replicas may take over."""
        for replica in self.replicas:
            _do(replica, "CONFIG", "SET", "cluster-replica-no-failover", "no" if is_allowed else "yes")

    def wait_for_failover(self, old: RedisServer, new: RedisServer) -> None:
        """Until everybody but `old` takes `new` for a master of a whole cluster."""
        living = [server for server in self.servers if server is not old]
        _wait(lambda: _info(new, "replication").get("role") == "master", "the replica is promoted")
        _wait(lambda: all(_state(server) == "ok" for server in living), "all slots are served")

    def _server(self) -> RedisServer:
        return RedisServer(self._binary, (*_OPTIONS, "--cluster-port", f"{free_port()}", *self._options))

    def _bus(self, server: RedisServer) -> int:
        return int(_do(server, "CONFIG", "GET", "cluster-port")["cluster-port"])


def find_redis_cluster() -> RedisCluster:
    return RedisCluster(any_binary())


def _do(server: RedisServer, *words: Any) -> Any:
    with Redis(port=server.port, socket_timeout=2, decode_responses=True) as client:
        return client.execute_command(*words)


def _info(server: RedisServer, section: str) -> dict[str, object]:
    try:
        with Redis(port=server.port, socket_timeout=1, decode_responses=True) as client:
            return dict(client.info(section))
    except (RedisError, OSError):
        return {}


def _cluster_info(server: RedisServer) -> dict[str, str]:
    try:
        told = _do(server, "CLUSTER INFO")
    except (RedisError, OSError):
        return {}
    return dict(told) if isinstance(told, dict) else {}


def _state(server: RedisServer) -> str:
    return _cluster_info(server).get("cluster_state", "")


def _knows(server: RedisServer) -> int:
    return int(_cluster_info(server).get("cluster_known_nodes", 0))


def _is_ok(server: RedisServer) -> bool:
    replication = _info(server, "replication")
    in_step = replication.get("role") == "master" or replication.get("master_link_status") == "up"
    return in_step and _state(server) == "ok"


def _wait(is_so: Callable[[], bool], what: str) -> None:
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while not is_so():
        if time.monotonic() > give_up_at:
            raise NotReadyError(f"not in {_PATIENCE_SECONDS} s: {what}")
        time.sleep(_POLL_SECONDS)
