"""A Docker engine: the one that answers here, or one of our own while the tests run."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.availability import Unavailable
from tests.support.containers import require_docker
from tests.support.kafka_distribution import cache_folder
from tests.support.processes import Child, start, wait_until
from tests.support.service_processes import clean_environment

_BUILD_SECONDS = 900.0
_FIRST_WITHOUT_OWN_BUILDKIT = 23
_PROGRAMS = ("dockerd", "iptables", "debootstrap")
_PACKAGES = "apt-get install docker.io docker-compose iptables debootstrap"


@dataclass(frozen=True)
class Engine:
    docker: str
    compose: tuple[str, ...]
    host: str
    is_own: bool
    """Nothing can be pulled into it: what images are built on is made here."""

    @property
    def name(self) -> str:
        version = self.docker_run("version", "--format", "{{.Server.Version}}").strip()
        return f"Docker {version}, {' '.join(self.compose[-2:]).removeprefix('/usr/bin/')}"

    def docker_run(self, *words: str | Path, timeout_seconds: float = _BUILD_SECONDS) -> str:
        """What `docker WORDS` prints; a failure shows what it said."""
        return self.run([self.docker, *words], timeout_seconds=timeout_seconds).stdout

    def run(
        self,
        command: list[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        timeout_seconds: float = _BUILD_SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            env={**self.environment, **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, command))}\n{done.stdout[-3000:]}{done.stderr[-5000:]}")
        return done

    @property
    def environment(self) -> dict[str, str]:
        return {**clean_environment(), "DOCKER_HOST": self.host, "DOCKER_BUILDKIT": "1"}


@contextmanager
def running_engine() -> Iterator[Engine]:
    """`Unavailable` says what is missing."""
    docker = _docker_with_buildkit()
    compose = _compose(docker)
    try:
        require_docker()
    except Unavailable:
        with _own_daemon() as host:
            engine = Engine(docker, compose, host, is_own=True)
            _remove_containers(engine)  # of a run that was killed
            yield engine
            _remove_containers(engine)
        return
    host = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    yield Engine(docker, compose, host, is_own=False)


def _docker_with_buildkit() -> str:
    """Newer clients need the plugin buildx, older ones bring the builder along."""
    folders = os.environ.get("PATH", "").split(os.pathsep)
    found = [path for folder in folders if (path := shutil.which("docker", path=folder))]
    for docker in found:
        if _succeeds(docker, "buildx", "version") or _client_major(docker) < _FIRST_WITHOUT_OWN_BUILDKIT:
            return docker
    raise Unavailable(f"no docker that builds with BuildKit is on the PATH ({_PACKAGES})")


def _compose(docker: str) -> tuple[str, ...]:
    if _succeeds(docker, "compose", "version"):
        return docker, "compose"
    if old := shutil.which("docker-compose"):
        return (old,)
    raise Unavailable(f"no docker compose, and no docker-compose on the PATH ({_PACKAGES})")


def _client_major(docker: str) -> int:
    printed = subprocess.run([docker, "--version"], capture_output=True, text=True, check=False).stdout
    words = printed.removeprefix("Docker version ").split(".")
    return int(words[0]) if words[0].isdigit() else _FIRST_WITHOUT_OWN_BUILDKIT


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextmanager
def _own_daemon() -> Iterator[str]:
    """Its data and the layers of the last build stay in the cache; no rule, bridge or mount of it stays."""
    if os.geteuid() != 0:
        raise Unavailable("no Docker engine answers, and only root can start one")
    if missing := [name for name in _PROGRAMS if not shutil.which(name)]:
        raise Unavailable(f"no Docker engine answers, and there is no {', '.join(missing)} ({_PACKAGES})")
    folder = cache_folder() / "engine"
    folder.mkdir(parents=True, exist_ok=True)
    host = f"unix://{folder / 'docker.sock'}"
    had_bridge = _has_bridge()
    with start(_daemon_command(folder, host), log_path=folder / "dockerd.log") as daemon:
        _wait_for(daemon)
        yield host
    _succeeds("umount", str(folder / "exec" / "netns" / "default"))  # else nobody could remove the cache
    if not had_bridge:
        _succeeds("ip", "link", "delete", "docker0")


def _daemon_command(folder: Path, host: str) -> list[str | Path]:
    paths = [("data-root", "data"), ("exec-root", "exec"), ("pidfile", "pid")]
    return [
        "dockerd",
        f"--host={host}",
        *(f"--{option}={folder / name}" for option, name in paths),
        "--iptables=false",  # ports are published by its proxy processes
        "--ip6tables=false",
        "--ip-forward=false",
        "--default-ulimit=nofile=16384:16384",
        "--exec-opt=native.cgroupdriver=cgroupfs",
    ]


def _wait_for(daemon: Child) -> None:
    try:
        wait_until(daemon, lambda: "API listen on" in daemon.log(), "API listen on", 60)
    except Exception as reason:
        raise Unavailable(f"dockerd does not run here: {str(reason)[-600:]}") from reason


def _has_bridge() -> bool:
    return Path("/sys/class/net/docker0").exists()


def _remove_containers(engine: Engine) -> None:
    if containers := engine.docker_run("ps", "--all", "--quiet").split():
        engine.docker_run("rm", "--force", "--volumes", *containers)
    engine.docker_run("network", "prune", "--force")
    engine.docker_run("volume", "prune", "--force")
