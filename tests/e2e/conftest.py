"""The service as its users start it: real processes, real brokers, HTTP."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.support.noida_kafka import NoidaKafka
from tests.support.processes import Child
from tests.support.provider_process import ScriptedProvider
from tests.support.server import AnyKafka, AnyRedis
from tests.support.service_processes import Service, gateway, one_process, worker

KINDS = ("one process", "distributed")


@dataclass(frozen=True)
class Cluster:
    """Two gateways and a worker on topics of their own."""

    settings: dict[str, str]
    gateways: list[Service]
    worker: Child

    @property
    def url(self) -> str:
        return self.gateways[0].url


def cluster_settings(kafka: AnyKafka, redis: AnyRedis, provider: ScriptedProvider) -> dict[str, str]:
    """Settings of a cluster that shares its brokers with others and nothing else."""
    mark = uuid4().hex[:8]
    return {
        "KAFKA_ENABLED": "true",
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "KAFKA_REQUEST_TOPIC": f"llm-requests-{mark}",
        "KAFKA_RESULT_TOPIC": f"llm-results-{mark}",
        "KAFKA_METRICS_TOPIC": f"llm-metrics-{mark}",
        "KAFKA_ERROR_TOPIC": f"llm-errors-{mark}",
        "KAFKA_DEAD_LETTER_TOPIC": f"llm-requests-{mark}.dlq",
        "KAFKA_REQUEST_PARTITIONS": "4",
        "KAFKA_CONSUMER_GROUP": f"workers-{mark}",
        "REDIS_URL": redis.url,
        **provider_settings(provider),
        "WORKER_SESSION_TIMEOUT_SECONDS": "10",
        "WORKER_LEASE_SECONDS": "5",
    }


@pytest.fixture(scope="module")
def module_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("services")


@pytest.fixture(scope="module")
def cluster(
    apache_kafka: AnyKafka, any_redis: AnyRedis, _provider: ScriptedProvider, module_folder: Path
) -> Iterator[Cluster]:
    settings = cluster_settings(apache_kafka, any_redis, _provider)
    with ExitStack() as stack:
        services = [
            stack.enter_context(gateway(module_folder, f"gateway-{number}", **settings)) for number in (1, 2)
        ]
        running = stack.enter_context(worker(module_folder, **settings))
        yield Cluster(settings, services, running)


@pytest.fixture(scope="module")
def memory_only(_provider: ScriptedProvider, module_folder: Path) -> Iterator[Service]:
    """One process with nothing beside it."""
    with one_process(module_folder, REDIS_ENABLED="false", **provider_settings(_provider)) as service:
        yield service


@pytest.fixture(scope="module")
def with_redis(any_redis: AnyRedis, _provider: ScriptedProvider, module_folder: Path) -> Iterator[Service]:
    """One process that keeps its results in Redis."""
    with one_process(module_folder, REDIS_URL=any_redis.url, **provider_settings(_provider)) as service:
        yield service


def provider_settings(provider: ScriptedProvider) -> dict[str, str]:
    return {
        "OPENAI_BASE_URL": provider.base_url,
        "OPENAI_API_KEY": "sk-service-own",
        "WORKER_BACKOFF_SECONDS": "0.05",
    }


@contextmanager
def service_of(
    kind: str, kafka: AnyKafka, redis: AnyRedis, provider: ScriptedProvider, folder: Path, **settings: str
) -> Iterator[tuple[Service, Child]]:
    """One of `KINDS` with settings of its own, and the process of it that calls the provider."""
    if kind == "one process":
        own = {**provider_settings(provider), "REDIS_ENABLED": "false", **settings}
        with one_process(folder, **own) as service:
            yield service, service.child
    else:
        own = cluster_settings(kafka, redis, provider) | settings
        with gateway(folder, **own) as service, worker(folder, **own) as caller:
            yield service, caller


@pytest.fixture(params=["memory_only", "with_redis", "cluster"])
def service_url(request: pytest.FixtureRequest) -> str:
    """The same behaviour in one process and distributed."""
    url: str = request.getfixturevalue(request.param).url
    return url


@pytest.fixture
def http(service_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service_url, timeout=60) as client:
        yield client


@pytest.fixture
def own_kafka() -> Iterator[NoidaKafka]:
    """A Kafka that a test may kill."""
    with NoidaKafka() as kafka:
        yield kafka
