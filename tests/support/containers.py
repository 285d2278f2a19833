"""The last resort of every search: an image in a container, where a Docker engine answers.

The libraries are imported late: they are slow, and a machine that finds a local broker needs none.
"""

import os
import socket
from typing import Any
from urllib.parse import urlsplit

from tests.support.availability import Unavailable
from tests.support.server import AnyKafka, AnyRedis

KAFKA_IMAGE = "confluentinc/cp-kafka:8.1.0"  # Apache Kafka 4.1
REDIS_IMAGE = "redis:7.4-alpine"


class ContainerKafka(AnyKafka):
    def __init__(self) -> None:
        from testcontainers.community.kafka import KafkaContainer  # noqa: PLC0415

        _require_docker()
        self._container: Any = KafkaContainer(KAFKA_IMAGE).with_kraft()

    @property
    def name(self) -> str:
        return f"Kafka container {KAFKA_IMAGE}"

    @property
    def bootstrap_servers(self) -> str:
        return str(self._container.get_bootstrap_server())

    def start(self) -> None:
        self._container.start()

    def stop(self) -> None:
        self._container.stop()


class ContainerRedis(AnyRedis):
    def __init__(self) -> None:
        from testcontainers.community.redis import RedisContainer  # noqa: PLC0415

        _require_docker()
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


def _require_docker() -> None:
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
