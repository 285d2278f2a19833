"""Redis as people run it: TLS alone, wanting or not wanting a certificate, and users with rights."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from shutil import rmtree

from redis import Redis

from tests.support.certificates import TestAuthority
from tests.support.ports import free_port
from tests.support.redis_process import RedisServer
from tests.support.redis_servers import redis_binary
from tests.support.server import AnyRedis


class SecuredRedis(AnyRedis):
    """`url` is the operator's own port, in the clear; `tls_port` is everybody else's."""

    def __init__(self, options: Sequence[str] = ()) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="redis-tls-"))
        self.authority = TestAuthority(self._folder)
        self.tls_port = free_port()
        self.server = RedisServer(redis_binary(), (*tls_options(self.authority, self.tls_port), *options))

    @property
    def name(self) -> str:
        return f"{self.server.name} with TLS and ACLs"

    @property
    def url(self) -> str:
        return self.server.url

    def start(self) -> None:
        self.server.start()

    def stop(self) -> None:
        self.server.stop()
        rmtree(self._folder, ignore_errors=True)

    def tls_url(self, user: str = "", password: str = "") -> str:
        return f"rediss://{user}:{password}@127.0.0.1:{self.tls_port}/0"

    def set_user(self, name: str, password: str, rules: Sequence[str]) -> None:
        with Redis.from_url(self.url) as admin:
            admin.execute_command("ACL", "SETUSER", name, "reset", "on", f">{password}", *rules)


def tls_options(authority: TestAuthority, port: int, *, wants_certificate: bool = True) -> Sequence[str]:
    certificate, key = authority.issue("redis")
    return (
        *("--tls-port", f"{port}"),
        *("--tls-cert-file", f"{certificate}"),
        *("--tls-key-file", f"{key}"),
        *("--tls-ca-cert-file", f"{authority.ca}"),
        *("--tls-auth-clients", "yes" if wants_certificate else "optional"),
    )
