"""Sentinels, a master and a replica that speak TLS to each other and to clients."""

from collections.abc import Sequence

from tests.support.certificates import TestAuthority
from tests.support.ports import free_port
from tests.support.redis_process import RedisBinary, RedisServer
from tests.support.redis_sentinel import MASTER, SentinelRedis
from tests.support.secured_redis import tls_options


class TlsSentinelRedis(SentinelRedis):
    """The ports in the clear stay open for the test's own questions; nobody is told of them."""

    def __init__(self, binary: RedisBinary, authority: TestAuthority) -> None:
        super().__init__(binary)
        self._authority = authority
        self._tls_ports = free_port(), free_port()
        self._tls_sentinel_ports = {port: free_port() for port in self.sentinel_ports}
        first, second = (self._options_of(port) for port in self._tls_ports)
        follows = ("--replicaof", "127.0.0.1", f"{self._tls_ports[0]}")
        self.servers = (RedisServer(binary, first), RedisServer(binary, (*second, *follows)))

    def tls_url(self, user: str, password: str) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self._tls_sentinel_ports.values())
        return f"rediss+sentinel://{user}:{password}@{hosts}/{MASTER}/0"

    @property
    def _monitored_port(self) -> int:
        return self._tls_ports[0]

    def _encryption(self, sentinel_port: int) -> Sequence[str]:
        words = self._options_of(self._tls_sentinel_ports[sentinel_port])[
            2:
        ]  # without the delay: no sentinel's
        return [
            f"{name.removeprefix('--')} {value}" for name, value in zip(words[::2], words[1::2], strict=True)
        ]

    def _options_of(self, port: int) -> Sequence[str]:
        delay = ("--repl-diskless-sync-delay", "0")
        return (*delay, *tls_options(self._authority, port), "--tls-replication", "yes")
