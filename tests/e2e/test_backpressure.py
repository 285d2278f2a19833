"""Beyond LLM_MAX_QUEUE_SECONDS new jobs are refused, with a time that holds; who is in is served."""

import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.e2e.conftest import KINDS, service_of
from tests.support.provider_process import ScriptedProvider
from tests.support.server import AnyKafka, AnyRedis

pytestmark = pytest.mark.campaign

NARROW = {"LLM_MAX_QUEUE_SECONDS": "3", "WORKER_CONCURRENCY": "2", "WORKER_WINDOW_JOBS": "4"}


@pytest.fixture(params=KINDS)
def url(
    request: pytest.FixtureRequest,
    apache_kafka: AnyKafka,
    any_redis: AnyRedis,
    _provider: ScriptedProvider,
    tmp_path: Path,
) -> Iterator[str]:
    """A service with room for two calls, where three seconds of waiting are enough."""
    with service_of(request.param, apache_kafka, any_redis, _provider, tmp_path, **NARROW) as (service, _):
        yield service.url


def submit(url: str, request_id: str) -> httpx.Response:
    prompt = f"{request_id} [[latency_ms=250]]"
    return httpx.post(f"{url}/submit", json={"user_prompt": prompt, "request_id": request_id}, timeout=60)


def queue_of(url: str) -> dict[str, float]:
    """Nulls, while nobody knows, as zeros."""
    queue: dict[str, float | None] = httpx.get(f"{url}/stats").json()["queue"]
    return {name: value or 0.0 for name, value in queue.items()}


def fill(url: str) -> tuple[list[str], str, httpx.Response]:
    """Submits job after job until one is refused: the ids that are in, the refused one and its answer."""
    admitted: list[str] = []
    while len(admitted) < 1000:
        request_id = str(uuid4())
        answer = submit(url, request_id)
        if answer.status_code != 202:
            return admitted, request_id, answer
        admitted.append(request_id)
    raise AssertionError(f"{len(admitted)} jobs were let in, and none refused")


def obey(url: str, request_id: str, refused: httpx.Response) -> httpx.Response:
    """Comes back when it was told to, and once more if others were quicker."""
    for _ in range(2):
        time.sleep(int(refused.headers["retry-after"]))
        answer = submit(url, request_id)
        if answer.status_code != 503:
            return answer
        refused = answer
    return refused


def test_a_queue_that_is_too_long_refuses_until_it_is_shorter(url: str, provider: ScriptedProvider) -> None:
    # Given more jobs than can be done in the time that one may wait
    # When one more comes
    ids, late, refused = fill(url)
    # Then it is refused, with the reason and a time, and its id is free
    error = refused.json()["error"]
    assert (refused.status_code, error["error_code"], error["retryable"]) == (503, "QUEUE_FULL", True)
    assert "LLM_MAX_QUEUE_SECONDS allows 3" in error["message"]
    assert int(refused.headers["retry-after"]) >= error["details"]["retry_after_seconds"] > 0
    assert httpx.get(f"{url}/result/{late}").status_code == 404
    # But who asks for a job that is known gets it
    assert submit(url, ids[0]).status_code in (200, 202)
    # And the figures are there for others
    queue = queue_of(url)
    assert queue["lag"] > 0
    assert queue["expected_wait_seconds"] == pytest.approx(queue["lag"] / queue["drain_per_second"], rel=0.01)
    figures = httpx.get(f"{url}/metrics").text
    assert all(f"llm_queue_{name} " in figures for name in queue)
    # And who comes back when it was told to is let in
    assert obey(url, late, refused).status_code == 202
    # And all who are in are answered, once
    for accepted in (*ids, late):
        assert httpx.get(f"{url}/result/{accepted}?wait=60", timeout=90).json()["success"]
    assert provider.count() == len(ids) + 1
