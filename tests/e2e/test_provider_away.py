"""While the provider is away no call goes out: who waits is told, every other job stays until it is back."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.e2e.conftest import KINDS, service_of
from tests.support.processes import Child, wait_for_line
from tests.support.provider_process import ScriptedProvider
from tests.support.server import AnyKafka, AnyRedis
from tests.support.service_processes import logged

FAILURES, AT_ONCE, JOBS = 5, 3, 20
BREAKER = {
    "WORKER_BREAKER_FAILURES": f"{FAILURES}",
    "WORKER_CONCURRENCY": f"{AT_ONCE}",
}


@dataclass(frozen=True)
class Scene:
    """A service, and the process in it that calls the provider."""

    url: str
    caller: Child

    def submit(self, prompt: str) -> str:
        """For nobody who waits."""
        body = {"user_prompt": prompt, "deadline_seconds": 3600}
        answer = httpx.post(f"{self.url}/submit", json=body, timeout=60)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["request_id"])

    def ask(self, prompt: str) -> httpx.Response:
        return httpx.post(f"{self.url}/invoke", json={"user_prompt": prompt}, timeout=90)

    def result(self, request_id: str, wait_seconds: int = 0) -> httpx.Response:
        return httpx.get(f"{self.url}/result/{request_id}?wait={wait_seconds}", timeout=90)


Start = Callable[..., AbstractContextManager[Scene]]


@pytest.fixture
def own_provider() -> Iterator[ScriptedProvider]:
    """One that a test may stop."""
    with ScriptedProvider() as provider:
        yield provider


@pytest.fixture(params=KINDS)
def start(
    request: pytest.FixtureRequest,
    apache_kafka: AnyKafka,
    any_redis: AnyRedis,
    own_provider: ScriptedProvider,
    tmp_path: Path,
) -> Start:
    @contextmanager
    def started(**settings: str) -> Iterator[Scene]:
        with service_of(
            request.param, apache_kafka, any_redis, own_provider, tmp_path, **(BREAKER | settings)
        ) as (service, caller):
            yield Scene(service.url, caller)

    return started


def test_no_call_goes_out_while_the_circuit_is_open(start: Start, own_provider: ScriptedProvider) -> None:
    # Given a provider that answers 500 to everything
    own_provider.script(failures=[{"status": 500}])
    with start(WORKER_BREAKER_SECONDS="600") as scene:
        # When more jobs come than it takes to find that out
        ids = [scene.submit(f"{uuid4()}") for _ in range(JOBS)]
        wait_for_line(scene.caller, "circuit_opened", 60)
        # Then who waits is told at once, and when to come again
        refused = scene.ask(f"{uuid4()}")
        error = refused.json()["error"]
        assert (refused.status_code, error["error_code"]) == (503, "UPSTREAM_UNAVAILABLE")
        assert error["retryable"]
        assert int(refused.headers["retry-after"]) >= error["details"]["retry_after_seconds"] > 500
        as_openai = httpx.post(
            f"{scene.url}/v1/chat/completions",
            json={"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"{uuid4()}"}]},
            timeout=90,
        )
        assert (as_openai.status_code, as_openai.json()["error"]["code"]) == (503, "upstream_unavailable")
        assert int(as_openai.headers["retry-after"]) > 500
        # And nobody was called for them: what was under way when it opened is all that came after
        assert FAILURES <= own_provider.count() < FAILURES + AT_ONCE
        # And every other job still waits
        assert {scene.result(request_id).status_code for request_id in ids} == {202}
        # But a model that is not the one that fails is asked
        own_provider.script()
        other = httpx.post(
            f"{scene.url}/invoke", json={"user_prompt": f"{uuid4()}", "model": "gpt-4o"}, timeout=90
        )
        assert other.status_code == 200


def test_jobs_that_nobody_waits_for_end_when_the_provider_is_back(
    start: Start, own_provider: ScriptedProvider
) -> None:
    with start(WORKER_BREAKER_SECONDS="0.5") as scene:
        # Given a provider that is down
        own_provider.stop()
        ids = [scene.submit(f"{uuid4()}") for _ in range(JOBS)]
        wait_for_line(scene.caller, "circuit_opened", 60)
        # When it is up again
        own_provider.start()
        # Then every job has its answer, of one call that found somebody
        answers = [scene.result(request_id, 60).json() for request_id in ids]
        assert [answer["success"] for answer in answers] == [True] * JOBS
        assert own_provider.count() == JOBS
        wait_for_line(scene.caller, "circuit_closed", 60)
        [closed] = {line["circuit"] for line in logged(scene.caller, "circuit_closed")}
        assert closed == "provider"
