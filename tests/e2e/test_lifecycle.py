"""Starting, stopping, and parts that go away."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.e2e.conftest import Cluster, cluster_settings
from tests.support.provider_process import ScriptedProvider
from tests.support.redis_process import RedisServer
from tests.support.redis_servers import any_binary
from tests.support.server import AnyKafka, AnyRedis
from tests.support.service_processes import ROOT, clean_environment, gateway, logged, one_process, worker


def until(is_true: Callable[[], bool], timeout_seconds: float = 30) -> None:
    """Poll: other processes tell us nothing."""
    give_up_at = time.monotonic() + timeout_seconds
    while not is_true():
        assert time.monotonic() < give_up_at, "it did not happen in time"
        time.sleep(0.02)


def refuse_to_start(*argv: str, **settings: str) -> str:
    result = subprocess.run(
        [sys.executable, *argv],
        cwd=ROOT,
        env=clean_environment(**settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode != 0
    return result.stderr.strip()


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"LLM_PORT": "eighty"}, ["LLM_PORT", "eighty"]),
        ({"REDIS_TTL_HOURS": "-1"}, ["REDIS_TTL_HOURS", "-1", "greater than or equal to 1"]),
        ({"LLM_LOG_LEVEL": "LOUD"}, ["LLM_LOG_LEVEL", "LOUD", "INFO"]),
        ({"LLM_DEFAULT_WAIT_SECONDS": "400"}, ["LLM_DEFAULT_WAIT_SECONDS", "LLM_MAX_WAIT_SECONDS"]),
        ({"WORKER_WINDOW_JOBS": "5"}, ["WORKER_WINDOW_JOBS", "WORKER_CONCURRENCY"]),
        ({"LLM_ENABLE_AUTH": "true"}, ["LLM_ENABLE_AUTH", "LLM_AUTH_TOKENS", "python -m gateway.tokens new"]),
        ({"LLM_AUTH_TOKENS": "team-a"}, ["LLM_AUTH_TOKENS: entry 1", "team-a="]),
        (
            {"LLM_ENABLE_AUTH": "true", "LLM_AUTH_TOKENS_FILE": "none.txt"},
            ["LLM_AUTH_TOKENS_FILE='none.txt'", "No such file"],
        ),
    ],
)
def test_a_wrong_setting_stops_the_start_with_a_line_that_names_it(
    settings: dict[str, str], names: list[str]
) -> None:
    complaint = refuse_to_start("main.py", **settings)
    assert len(complaint.splitlines()) == 1
    assert all(name in complaint for name in names), complaint


@pytest.mark.parametrize("service", ["gateway", "worker"])
def test_distributed_mode_wants_kafka(service: str) -> None:
    assert "KAFKA_ENABLED=true" in refuse_to_start("-m", service)


def test_a_worker_wants_a_key_or_a_server_without_keys() -> None:
    assert "OPENAI_API_KEY" in refuse_to_start("-m", "worker", KAFKA_ENABLED="true")


def test_sigterm_answers_held_waits_and_the_job_goes_on(
    cluster: Cluster, tmp_path: Path, provider: ScriptedProvider
) -> None:
    prompt = f"{uuid4()} [[latency_ms=1500]]"
    request_id = str(uuid4())
    with gateway(tmp_path, **cluster.settings) as leaving, ThreadPoolExecutor() as threads:
        # Given a caller that waits at a gateway
        body = {"user_prompt": prompt, "request_id": request_id}
        waiting = threads.submit(httpx.post, f"{leaving.url}/invoke", json=body, timeout=60)
        until(lambda: len(provider.calls_of(prompt)) == 1)
        # When the gateway is told to stop
        leaving.child.send_signal(signal.SIGTERM)
        # Then the caller gets 202 before the job is finished
        response = waiting.result(timeout=10)
        assert response.status_code == 202
        assert leaving.child.wait() == 0
    # And another gateway has the answer
    read = httpx.get(f"{cluster.url}/result/{request_id}", params={"wait": "30"}, timeout=60)
    assert read.json()["data"]["response"] == f"echo: {prompt}"
    assert len(provider.calls_of(prompt)) == 1


def test_a_worker_told_to_stop_finishes_its_calls_while_another_takes_over(
    apache_kafka: AnyKafka, any_redis: AnyRedis, provider: ScriptedProvider, tmp_path: Path
) -> None:
    settings = cluster_settings(apache_kafka, any_redis, provider)
    with gateway(tmp_path, **settings) as service, worker(tmp_path, "leaving", **settings) as leaving:
        # Given calls that run on a worker
        prompts = [f"{uuid4()} [[latency_ms=1500]]" for _ in range(20)]
        urls = [
            httpx.post(f"{service.url}/submit", json={"user_prompt": prompt}).json()["status_url"]
            for prompt in prompts
        ]
        until(lambda: provider.count() == 20)
        # When it is told to stop, and another one starts
        leaving.send_signal(signal.SIGTERM)
        with worker(tmp_path, "staying", **settings):
            assert leaving.wait() == 0
            # Then every call was made once, and every job has its answer
            for url, prompt in zip(urls, prompts, strict=True):
                body = httpx.get(f"{service.url}{url}", params={"wait": "30"}, timeout=60).json()
                assert body["data"]["response"] == f"echo: {prompt}"
                assert not body["possible_duplicate_charge"]
            assert provider.count() == 20
    assert logged(leaving, "worker_stopped")[0]["cut_off"] == 0


def test_kafka_away_is_503_and_the_id_is_free_again(
    any_redis: AnyRedis, provider: ScriptedProvider, tmp_path: Path, own_kafka: AnyKafka
) -> None:
    settings = cluster_settings(own_kafka, any_redis, provider)
    request_id = str(uuid4())
    body = {"user_prompt": "later then", "request_id": request_id}
    with gateway(tmp_path, **settings) as service, worker(tmp_path, **settings):
        assert httpx.post(f"{service.url}/invoke", json={"user_prompt": "x"}, timeout=60).status_code == 200
        # When the broker dies
        own_kafka.kill()  # type: ignore[attr-defined] # the fixture's own kind
        refused = httpx.post(f"{service.url}/invoke", json=body, timeout=60)
        # Then nothing is promised, and the caller knows when to come back
        assert (refused.status_code, refused.json()["error"]["error_code"]) == (503, "QUEUE_UNAVAILABLE")
        assert int(refused.headers["retry-after"]) >= 1
        assert httpx.get(f"{service.url}/result/{request_id}").status_code == 404
        assert httpx.get(f"{service.url}/health/ready").status_code == 503
        assert httpx.get(f"{service.url}/health/live").status_code == 200
        # And when it is back, the same request is answered
        own_kafka.start()
        with httpx.Client(headers={"Prefer": "wait=1"}, timeout=60) as http:
            until(lambda: http.post(f"{service.url}/invoke", json=body).status_code == 200, 60)


def test_one_process_goes_on_in_memory_when_redis_dies(provider: ScriptedProvider, tmp_path: Path) -> None:
    with (
        RedisServer(any_binary()) as redis,
        one_process(
            tmp_path,
            REDIS_URL=redis.url,
            OPENAI_BASE_URL=provider.base_url,
        ) as service,
        httpx.Client(base_url=service.url, timeout=60) as http,
    ):
        assert http.post("/invoke", json={"user_prompt": "before"}).status_code == 200
        # When Redis dies
        redis.kill()
        # Then jobs go on, each once, and health says so
        body = {"user_prompt": "meanwhile", "request_id": str(uuid4())}
        assert http.post("/invoke", json=body).status_code == 200
        assert http.post("/invoke", json=body).json()["cached"] is True
        health = http.get("/health")
        assert (health.status_code, health.json()["status"]) == (200, "degraded")
        # And when it is back, so is everything
        redis.restart()
        until(lambda: http.get("/health").json()["status"] == "healthy")
        assert http.post("/invoke", json={"user_prompt": "after"}).status_code == 200


def test_a_taken_port_is_said_in_one_line(tmp_path: Path, provider: ScriptedProvider) -> None:
    settings = {"REDIS_ENABLED": "false", "OPENAI_BASE_URL": provider.base_url}
    with one_process(tmp_path, **settings) as service:
        port = service.url.rsplit(":", 1)[1]
        complaint = refuse_to_start("main.py", LLM_PORT=port, **settings)
        assert port in complaint
        assert len(complaint.splitlines()) == 1
