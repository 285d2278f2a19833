"""The last resort of every search, or with TEST_BROKERS=containers the first: an image in a container.

The libraries are imported late: they are slow, and a machine that finds a local broker needs none.
"""

import os
import socket
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from tests.support.availability import Unavailable
from tests.support.ports import free_port
from tests.support.server import AnyKafka, AnyRedis, Server

S = TypeVar("S", bound=Server)
KAFKA_IMAGE = "apache/kafka:4.3.1"
REDIS_IMAGE = "redis:7.4-alpine"


class ContainerKafka(AnyKafka):
    """Its port is chosen beforehand: the broker has to know what it advertises when it starts."""

    def __init__(self) -> None:
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415
        from testcontainers.core.wait_strategies import LogMessageWaitStrategy  # noqa: PLC0415

        require_docker()
        self._port = free_port()
        self._container: Any = DockerContainer(KAFKA_IMAGE).with_bind_ports(19092, self._port)
        self._container.waiting_for(LogMessageWaitStrategy("Kafka Server started"))

    @property
    def name(self) -> str:
        return f"Kafka container {KAFKA_IMAGE}"

    @property
    def bootstrap_servers(self) -> str:
        return f"{self._container.get_container_host_ip()}:{self._port}"

    def start(self) -> None:
        for name, value in _kafka_variables(self.bootstrap_servers).items():
            self._container.with_env(name, value)
        self._container.start()

    def stop(self) -> None:
        self._container.stop()


def _kafka_variables(advertised: str) -> dict[str, str]:
    """One node, both broker and controller."""
    alone = (
        "OFFSETS_TOPIC_REPLICATION_FACTOR",
        "TRANSACTION_STATE_LOG_REPLICATION_FACTOR",
        "TRANSACTION_STATE_LOG_MIN_ISR",
        "SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR",
    )
    return {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENERS": "PLAINTEXT://:19092,CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{advertised}",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
        **{f"KAFKA_{name}": "1" for name in alone},
    }


class ContainerRedis(AnyRedis):
    def __init__(self) -> None:
        from testcontainers.community.redis import RedisContainer  # noqa: PLC0415

        require_docker()
        self._container: Any = RedisContainer(REDIS_IMAGE)

    @property
    def name(self) -> str:
        return f"Redis container {REDIS_IMAGE}"

    @property
    def url(self) -> str:
        host, port = self._container.get_container_host_ip(), self._container.get_exposed_port(6379)
        return f"redis://{host}:{port}/0"

    def start(self) -> None:
        self._container.start()

    def stop(self) -> None:
        self._container.stop()


def asked_for(container: Callable[[], S]) -> Callable[[], S]:
    """The container, for who wants containers also where there is something quicker."""

    def found() -> S:
        if os.environ.get("TEST_BROKERS") != "containers":
            raise Unavailable("TEST_BROKERS=containers is not set")
        return container()

    return found


def require_docker() -> None:
    """A plain connection first: the docker package leaks its socket when nobody answers."""
    address = urlsplit(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
    try:
        if address.scheme == "unix":
            with socket.socket(socket.AF_UNIX) as engine:
                engine.connect(address.path)
        else:
            socket.create_connection((address.hostname, address.port), timeout=3).close()
    except OSError as error:
        raise Unavailable("no Docker engine answers") from error
