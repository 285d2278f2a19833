"""What a stored job costs in Redis: `python -m tests.bench.redis_memory` writes the table of docs/size.md.

Jobs go through a gateway, Kafka and a worker into a Redis that nobody else uses; the difference of its
`used_memory`, by the number of jobs.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx
from redis import Redis

from tests.bench.questions import new_question
from tests.docs.tables import write_tables
from tests.support.noida_kafka import NoidaKafka
from tests.support.provider_process import ScriptedProvider
from tests.support.redis_process import RedisServer
from tests.support.redis_servers import any_binary
from tests.support.service_processes import gateway, worker

MARK = "redis_memory"
COLUMNS = ("What is kept", "For how long", "Bytes")
JOBS = 500
_WARM_UP_JOBS = 50
_WAITING_MS = 15_000
_BENCH_LETTERS = len(f"echo: {new_question().prompt}")


@dataclass(frozen=True)
class Scene:
    """A service with a Redis of its own, of which only we speak."""

    http: httpx.Client
    redis: Redis
    redis_name: str

    def bytes_a_job(self, ask: Callable[[httpx.Client], None], jobs: int) -> float:
        before = self._used()
        for _ in range(jobs):
            ask(self.http)
        return (self._used() - before) / jobs

    def _used(self) -> int:
        return int(self.redis.info("memory")["used_memory"])


@contextmanager
def scene() -> Iterator[Scene]:
    with (
        tempfile.TemporaryDirectory() as folder,
        ScriptedProvider() as provider,
        NoidaKafka() as kafka,
        RedisServer(any_binary()) as server,
        Redis.from_url(server.url) as redis,
    ):
        settings = {
            "KAFKA_ENABLED": "true",
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "KAFKA_REQUEST_PARTITIONS": "2",
            "REDIS_URL": server.url,
            "OPENAI_BASE_URL": provider.base_url,
            "OPENAI_API_KEY": "sk-bench",
        }
        with (
            gateway(Path(folder), **settings) as service,
            worker(Path(folder), **settings),
            httpx.Client(base_url=service.url, timeout=60) as http,
        ):
            found = Scene(http, redis, server.name)
            found.bytes_a_job(asked_as_the_bench_does, _WARM_UP_JOBS)
            yield found


def asked_as_the_bench_does(http: httpx.Client) -> None:
    _succeed(http.post("/invoke", content=new_question().body, headers={"content-type": "application/json"}))


def asked_with(letters: int, **more: object) -> Callable[[httpx.Client], None]:
    """The provider echoes: as long as the question, so the answer."""

    def ask(http: httpx.Client) -> None:
        prompt = f"{uuid4()} ".ljust(letters, "x")
        _succeed(http.post("/invoke", json={"user_prompt": prompt, **more}))

    return ask


def waiting(http: httpx.Client) -> None:
    body = {"user_prompt": f"{uuid4()} [[latency_ms={_WAITING_MS}]]"}
    assert http.post("/submit", json=body).status_code == 202


def table() -> str:
    with scene() as here:
        plain = here.bytes_a_job(asked_as_the_bench_does, JOBS)
        kilo = {size: here.bytes_a_job(asked_with(size), JOBS) for size in (1_000, 4_000, 16_000)}
        twice = here.bytes_a_job(asked_with(1_000, temperature=0), JOBS)
        running = here.bytes_a_job(waiting, JOBS)
    kept, until_end = "`REDIS_TTL_HOURS`", "until it ends"
    rows = [
        COLUMNS,
        ("---", "---", "---:"),
        ("a job that waits or runs", until_end, _rounded(running)),
        (
            f"a finished job, an answer as the bench's ({_rounded(_BENCH_LETTERS)} letters)",
            kept,
            _rounded(plain),
        ),
        *((f"a finished job, an answer of {size:,} letters", kept, _rounded(b)) for size, b in kilo.items()),
        (
            "beside it, the same 1,000 letters for equal questions",
            "`LLM_CACHE_TTL_SECONDS`",
            _rounded(twice - kilo[1_000]),
        ),
    ]
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return (
        f"{lines}\n\n{here.redis_name}, {JOBS} jobs a row; {datetime.now(UTC):%Y-%m-%d}; "
        "`python -m tests.bench.redis_memory`"
    )


def _succeed(answer: httpx.Response) -> None:
    assert answer.status_code == 200, answer.text


def _rounded(count: float) -> str:
    return f"{round(count, -1):,.0f}"


if __name__ == "__main__":
    write_tables({MARK: table()})
