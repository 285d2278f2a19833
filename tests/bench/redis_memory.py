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
_LETTERS = (1_000, 4_000, 16_000)
_RUNNING_MS = 15_000
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


def running(http: httpx.Client) -> None:
    body = {"user_prompt": f"{uuid4()} [[latency_ms={_RUNNING_MS}]]"}
    assert http.post("/submit", json=body).status_code == 202


def table() -> str:
    with scene() as here:
        rows = [COLUMNS, ("---", "---", "---:"), *_rows(here)]
        name = here.redis_name
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    day = datetime.now(UTC).date()
    return f"{lines}\n\n{name}, {JOBS} jobs a row; {day}; `python -m tests.bench.redis_memory`"


def _rows(here: Scene) -> Iterator[tuple[str, str, str]]:
    kept, own = "`REDIS_TTL_HOURS`", f"an answer as the bench's ({_rounded(_BENCH_LETTERS)} letters)"
    yield f"a finished job, {own}", kept, _rounded(here.bytes_a_job(asked_as_the_bench_does, JOBS))
    found = {letters: here.bytes_a_job(asked_with(letters), JOBS) for letters in _LETTERS}
    for letters, count in found.items():
        yield f"a finished job, an answer of {letters:,} letters", kept, _rounded(count)
    more = here.bytes_a_job(asked_with(_LETTERS[0], temperature=0), JOBS) - found[_LETTERS[0]]
    yield (
        f"beside it, the same {_LETTERS[0]:,} for equal questions",
        "`LLM_CACHE_TTL_SECONDS`",
        _rounded(more),
    )
    yield "a job that runs", "until it ends", _rounded(here.bytes_a_job(running, JOBS))


def _succeed(answer: httpx.Response) -> None:
    assert answer.status_code == 200, answer.text


def _rounded(count: float) -> str:
    return f"{round(count, -1):,.0f}"


if __name__ == "__main__":
    write_tables({MARK: table()})
