"""What the service needs around it, and the service itself, as processes."""

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psutil

from tests.bench.cores import OTHER_CORES, SERVICE_CORES, CpuMeter, pin
from tests.bench.native_programs import provider_command
from tests.support.kafka_brokers import find_apache_kafka
from tests.support.ports import free_port
from tests.support.processes import Child, start, wait_for_line
from tests.support.redis_servers import find_any_redis
from tests.support.server import AnyKafka, AnyRedis, Server

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"

_OWN_SETTINGS = re.compile("(LLM|KAFKA|REDIS|WORKER|OPENAI)_")
_READY_SECONDS = 60


@dataclass(frozen=True)
class Brokers:
    kafka: AnyKafka
    redis: AnyRedis
    pids: dict[str, list[int]]

    @property
    def name(self) -> str:
        return f"{self.kafka.name}; {self.redis.name}"


@dataclass(frozen=True)
class Service:
    """One gateway and its workers."""

    gateway: Child
    workers: tuple[Child, ...]
    port: int

    @property
    def pids(self) -> dict[str, list[int]]:
        return {"gateway": [self.gateway.pid], "worker": [worker.pid for worker in self.workers]}


@contextmanager
def running_brokers() -> Iterator[Brokers]:
    """Apache Kafka and Redis, started here or found in the environment."""
    with ExitStack() as stack:
        kafka, redis = find_apache_kafka(), find_any_redis()
        pids = {"broker": _start(stack, kafka), "redis": _start(stack, redis)}
        yield Brokers(kafka, redis, pids)


def _start(stack: ExitStack, server: Server) -> list[int]:
    """Empty for a server that is not a child of ours: its CPU stays unknown."""
    before = _children()
    stack.enter_context(server)
    return sorted(_children() - before)


def _children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


@contextmanager
def running_fast_provider(delay_ms: float = 0) -> Iterator[tuple[Child, str]]:
    """The process and its base URL."""
    with own_folder() as folder:
        command = [*provider_command(), "0", f"{delay_ms}"]
        with start(command, log_path=folder / "provider.log", cwd=ROOT) as child:
            yield child, wait_for_line(child, "listening on").split()[-1]


@contextmanager
def running_service(
    brokers: Brokers, provider_url: str, *, workers: int = 1, tree: Path = ROOT, **settings: str
) -> Iterator[Service]:
    """Gateway and workers of the source `tree`, with topics of their own and default settings but these."""
    port = free_port()
    with own_folder() as folder, ExitStack() as stack:
        environment = (
            service_environment(brokers, provider_url, port, folder) | {"PYTHONPATH": f"{tree}"} | settings
        )
        names = ("gateway", *("worker" for _ in range(workers)))
        gateway, *working = (
            stack.enter_context(
                # Not in the tree: somebody's .env lies there.
                start(
                    [sys.executable, "-m", name],
                    log_path=folder / f"{n}.log",
                    env=environment | {"LLM_LOG_FILE": f"{folder / f'{n}-events.log'}"},
                    cwd=folder,
                )
            )
            for n, name in enumerate(names)
        )
        wait_for_line(gateway, "gateway_ready", _READY_SECONDS)
        for worker in working:
            wait_for_line(worker, "worker_ready", _READY_SECONDS)
            wait_for_line(worker, "partitions_assigned", _READY_SECONDS)
        yield Service(gateway, tuple(working), port)


def separate(service: Service, others: dict[str, list[int]]) -> CpuMeter:
    """Gateway and worker share a core; everything else, the bench too, has the rest. Returns the meter."""
    for part in service.pids.values():
        pin(part, SERVICE_CORES)
    for part in [*others.values(), [os.getpid()]]:
        pin(part, OTHER_CORES)
    return CpuMeter({**service.pids, **others})


def without_own_settings(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not _OWN_SETTINGS.match(name)}


def service_environment(brokers: Brokers, provider_url: str, port: int, folder: Path) -> dict[str, str]:
    run = f"bench-{uuid4().hex[:8]}"
    return without_own_settings(os.environ) | {
        "KAFKA_ENABLED": "true",
        "KAFKA_BOOTSTRAP_SERVERS": brokers.kafka.bootstrap_servers,
        "KAFKA_REQUEST_TOPIC": f"{run}-requests",
        "KAFKA_CONSUMER_GROUP": run,
        "REDIS_URL": brokers.redis.url,
        "OPENAI_BASE_URL": provider_url,
        "OPENAI_API_KEY": "sk-bench",
        "LLM_HOST": HOST,
        "LLM_PORT": f"{port}",
        "LLM_LOG_FILE": f"{folder / 'events.log'}",
        "WORKER_HEALTH_HOST": HOST,
        "WORKER_HEALTH_PORT": "0",
    }


@contextmanager
def own_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
