"""What the pages' commands are run against."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.support.noida_kafka import NoidaKafka
from tests.support.provider_process import ScriptedProvider
from tests.support.server import AnyRedis
from tests.support.service_processes import clean_environment, gateway, one_process, worker


@dataclass(frozen=True)
class Deployment:
    """A gateway and a worker over a Kafka of their own, with the topics' usual names."""

    url: str
    brokers: str
    settings: Mapping[str, str]

    def run(self, command: list[str]) -> str:
        """As an operator of this deployment runs it."""
        environment = clean_environment(**self.settings)
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout


@pytest.fixture(scope="module")
def deployment(
    any_redis: AnyRedis, _provider: ScriptedProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("deployment")
    with NoidaKafka() as kafka, ExitStack() as stack:
        settings = {
            "KAFKA_ENABLED": "true",
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "KAFKA_REQUEST_PARTITIONS": "2",
            "REDIS_URL": any_redis.url,
            "OPENAI_BASE_URL": _provider.base_url,
        }
        service = stack.enter_context(gateway(folder, **settings))
        stack.enter_context(worker(folder, **settings))
        yield Deployment(service.url, kafka.bootstrap_servers, settings)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of the service as `make run` starts it, with the local model."""
    with one_process(tmp_path_factory.mktemp("service"), REDIS_ENABLED="false") as service:
        yield service.url.removeprefix("http://")
