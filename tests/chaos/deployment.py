"""The service under test: gateway and worker processes, as an operator starts them."""

import os
import secrets
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import orjson

from tests.support.ports import free_port
from tests.support.processes import Child, start, wait_for_line, wait_until
from tests.support.provider_process import ScriptedProvider
from tests.support.server import AnyKafka, AnyRedis

ROOT = Path(__file__).parents[2]
_OURS = ("LLM_", "REDIS_", "KAFKA_", "WORKER_", "OPENAI_")
PARTITIONS = 24
_START_SECONDS = 90


@dataclass(frozen=True)
class Surroundings:
    """What the service talks to."""

    kafka: AnyKafka
    redis: AnyRedis
    provider: ScriptedProvider

    @property
    def name(self) -> str:
        return f"{self.kafka.name}, {self.redis.name}"


@dataclass(frozen=True)
class Process:
    """A gateway or a worker."""

    name: str
    child: Child

    def events(self) -> Iterator[dict[str, Any]]:
        """Its log, line by line; what is not an event is a line that it should not have written."""
        yield from self.events_with("")

    def events_with(self, word: str) -> Iterator[dict[str, Any]]:
        """The lines that hold `word`: a long log is slow to parse."""
        for line in self.child.log().splitlines():
            if word not in line:
                continue
            try:
                event = orjson.loads(line)
            except orjson.JSONDecodeError:
                event = {"event": line, "level": "UNEXPECTED"}
            yield event


@dataclass(frozen=True)
class Gateway(Process):
    url: str


@dataclass(frozen=True)
class Worker(Process):
    key_ending: str
    """Each worker has a provider key of its own, so that the provider's ledger says who called."""

    def partitions(self) -> int:
        """How many of the normal lane it was given last."""
        given = [
            event
            for event in self.events_with("partitions_assigned")
            if not event["topic"].endswith((".high", ".low"))
        ]
        return int(given[-1]["partitions"]) if given else 0


class Deployment:
    """Topics, group and keys of its own: many may share one broker, one after the other."""

    def __init__(self, surroundings: Surroundings, folder: Path, settings: Mapping[str, str]) -> None:
        self.surroundings = surroundings
        self.gateways: list[Gateway] = []
        self.workers: list[Worker] = []
        self.name = f"chaos-{secrets.token_hex(4)}"
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._settings = settings

    @property
    def request_topic(self) -> str:
        return f"{self.name}-requests"

    @property
    def group(self) -> str:
        return f"{self.name}-workers"

    def start(self, *, gateways: int, workers: int) -> None:
        """Returns when everybody is ready and the workers share the partitions."""
        for _ in range(gateways):
            self.start_gateway()
        for _ in range(workers):
            self.start_worker()
        wait_until(self.workers[-1].child, self._is_shared, "partitions shared out", _START_SECONDS)

    @property
    def standing_workers(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.child.is_alive()]

    @property
    def standing_gateways(self) -> list[Gateway]:
        return [gateway for gateway in self.gateways if gateway.child.is_alive()]

    def start_gateway(
        self, settings: Mapping[str, str] | None = None, *, instead_of: Gateway | None = None
    ) -> Gateway:
        """On a port of its own, or on that of one which has ended."""
        port = int(instead_of.url.rpartition(":")[2]) if instead_of else free_port()
        name, url = f"gateway-{len(self.gateways) + 1}", f"http://127.0.0.1:{port}"
        address = {"LLM_HOST": "127.0.0.1", "LLM_PORT": f"{port}"}
        child = self._start(name, "gateway", address | dict(settings or {}))
        wait_for_line(child, '"gateway_ready"', _START_SECONDS)
        answer = httpx.get(f"{url}/health/ready", timeout=10)
        assert answer.status_code == 200, answer.text
        self.gateways.append(Gateway(name, child, url))
        return self.gateways[-1]

    def start_worker(self, settings: Mapping[str, str] | None = None) -> Worker:
        """Returns when it has partitions."""
        number = len(self.workers) + 1
        name, key = f"worker-{number}", f"sk-chaos-w{number:03}"
        own = {"OPENAI_API_KEY": key, "WORKER_HEALTH_PORT": "0"}
        child = self._start(name, "worker", own | dict(settings or {}))
        worker = Worker(name, child, key[-4:])
        self.workers.append(worker)
        wait_for_line(child, '"worker_ready"', _START_SECONDS)
        wait_until(child, lambda: worker.partitions() > 0, "partitions assigned", _START_SECONDS)
        return worker

    def assigned_at(self) -> list[float]:
        """When workers were given partitions."""
        return [
            datetime.fromisoformat(event["time"]).timestamp()
            for worker in self.workers
            for event in worker.events_with("partitions_assigned")
        ]

    def complaints(self) -> Counter[str]:
        """Every warning and error of every process, by its event word."""
        return Counter(
            f"{event['level']} {event['event']}"
            for process in (*self.gateways, *self.workers)
            for event in process.events()
            if event["level"] not in ("DEBUG", "INFO")
        )

    def _is_shared(self) -> bool:
        shares = [worker.partitions() for worker in self.workers]
        return all(shares) and sum(shares) == PARTITIONS

    def _start(self, name: str, package: str, settings: Mapping[str, str]) -> Child:
        clean = {key: value for key, value in os.environ.items() if not key.startswith(_OURS)}
        environment = clean | self.common_settings() | dict(self._settings) | dict(settings)
        log_path = self._folder / f"{name}.log"
        log_path.unlink(missing_ok=True)
        return start([sys.executable, "-m", package], log_path=log_path, env=environment, cwd=ROOT)

    def common_settings(self) -> dict[str, str]:
        """Where everything is; what every process is told."""
        return {
            "KAFKA_ENABLED": "true",
            "KAFKA_BOOTSTRAP_SERVERS": self.surroundings.kafka.bootstrap_servers,
            "KAFKA_REQUEST_TOPIC": self.request_topic,
            "KAFKA_RESULT_TOPIC": f"{self.name}-results",
            "KAFKA_METRICS_TOPIC": f"{self.name}-metrics",
            "KAFKA_ERROR_TOPIC": f"{self.name}-errors",
            "KAFKA_DEAD_LETTER_TOPIC": f"{self.name}-requests.dlq",
            "KAFKA_CONSUMER_GROUP": self.group,
            "KAFKA_REQUEST_PARTITIONS": f"{PARTITIONS}",
            "REDIS_URL": self.surroundings.redis.url,
            "OPENAI_BASE_URL": self.surroundings.provider.base_url,
            "LLM_LOG_FILE": f"{self._folder / 'events.log'}",
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in (*self.gateways, *self.workers):
            process.child.kill()
