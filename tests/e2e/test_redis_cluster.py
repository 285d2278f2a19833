"""Gateway and worker over a Redis Cluster that loses a master: every accepted job has its one result."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.conftest import missing
from tests.e2e.conftest import cluster_settings
from tests.support.availability import Unavailable
from tests.support.provider_process import ScriptedProvider
from tests.support.redis_cluster import RedisCluster
from tests.support.redis_process import DURABLE
from tests.support.redis_servers import any_binary
from tests.support.server import AnyKafka
from tests.support.service_processes import gateway, worker

_PATIENCE_SECONDS = 90.0
_JOBS = 30


@pytest.fixture
def redis() -> Iterator[RedisCluster]:
    try:
        binary = any_binary()
    except Unavailable as reason:
        missing(str(reason))
    with RedisCluster(binary, DURABLE, has_replicas=True) as cluster:
        yield cluster


@pytest.fixture
def http(
    apache_kafka: AnyKafka, redis: RedisCluster, provider: ScriptedProvider, tmp_path: Path
) -> Iterator[httpx.Client]:
    settings = cluster_settings(apache_kafka, redis, provider)
    limits = {"LLM_LIMIT_REQUESTS_PER_MINUTE": "1000", "LLM_RESPONSE_CACHE": "all"}
    with ExitStack() as stack:
        service = stack.enter_context(gateway(tmp_path, **settings | limits))
        stack.enter_context(worker(tmp_path, **settings | limits))
        yield stack.enter_context(httpx.Client(base_url=service.url, timeout=60))


def test_every_accepted_job_ends_once_though_a_master_is_killed(
    http: httpx.Client, redis: RedisCluster
) -> None:
    assert http.post("/invoke", json=question("first")).raise_for_status().json()["success"]
    assert http.post("/invoke", json=question("first")).json()["performance"]["cache_hit"]
    # Given jobs that were accepted before, while and after a master is killed
    accepted = submit(http, "before")
    redis.masters[1].kill()
    accepted |= submit(http, "while")
    redis.wait_for_failover(redis.masters[1], redis.replicas[1])
    accepted |= submit(http, "after")
    assert len(accepted) >= 2 * _JOBS
    # Then each of them is finished, and its id is known as one that was answered
    for request_id, body in accepted.items():
        assert wait_for(http, request_id)["success"]
        again = http.post("/invoke", json={**body, "request_id": request_id})
        assert again.headers.get("Idempotent-Replayed") == "true"
    assert http.get("/health").json()["status"] == "healthy"


def question(text: str) -> dict[str, str]:
    return {"user_prompt": f"What is the capital of {text}?"}


def submit(http: httpx.Client, when: str) -> dict[str, dict[str, str]]:
    """Those that were accepted, by their ids."""
    accepted = {}
    for number in range(_JOBS):
        body = question(f"{when} {number}")
        answer = http.post("/submit", json=body)
        if answer.status_code in {200, 202}:
            accepted[answer.json()["request_id"]] = body
    return accepted


def wait_for(http: httpx.Client, request_id: str) -> dict[str, object]:
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while (answer := http.get(f"/result/{request_id}")).status_code != 200:
        assert time.monotonic() < give_up_at, answer.text
        time.sleep(0.05)
    result: dict[str, object] = answer.json()
    return result
