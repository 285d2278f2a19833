"""Today's gateways beside the last release's workers, the other way round, and each after the other."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.e2e.conftest import cluster_settings
from tests.e2e.test_lifecycle import until
from tests.support.availability import Unavailable
from tests.support.event_stream import events_of, text_of
from tests.support.provider_process import ScriptedProvider
from tests.support.released_tree import ROOT, unpack_release
from tests.support.sealing_keys import KeyFiles
from tests.support.server import AnyKafka, AnyRedis
from tests.support.service_processes import clean_environment, gateway, worker

LAST, TODAY = "last", "today"
SEALED_KEY = "sk-CANARY-of-a-caller-1b7d"
CALLERS = 4


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Whose code runs, by its PYTHONPATH."""
    try:
        last = unpack_release(tmp_path_factory.mktemp("release"))
    except Unavailable as reason:
        pytest.skip(str(reason))  # in CI too: a build server's clone may be shallow
    return {LAST: str(last), TODAY: str(ROOT)}


@pytest.fixture(scope="module")
def files(module_folder: Path) -> KeyFiles:
    made = KeyFiles(module_folder / "keys")
    made.run("generate")
    return made


@pytest.fixture
def settings(apache_kafka: AnyKafka, any_redis: AnyRedis, provider: ScriptedProvider) -> dict[str, str]:
    return cluster_settings(apache_kafka, any_redis, provider)


@pytest.fixture(params=[(TODAY, LAST), (LAST, TODAY)], ids=["today's gateway", "today's worker"])
def http(
    request: pytest.FixtureRequest,
    trees: dict[str, str],
    settings: dict[str, str],
    files: KeyFiles,
    tmp_path: Path,
) -> Iterator[httpx.Client]:
    of_gateway, of_worker = request.param
    sealing = {"LLM_SEALING_JWKS_FILE": str(files.public)}
    opening = {"WORKER_SEALING_KEYS_FILE": str(files.private)}
    with (
        gateway(tmp_path, PYTHONPATH=trees[of_gateway], **sealing, **settings) as service,
        worker(tmp_path, PYTHONPATH=trees[of_worker], **opening, **settings),
        httpx.Client(base_url=service.url, timeout=60) as client,
    ):
        yield client


@pytest.mark.parametrize("age", [LAST, TODAY])
@pytest.mark.parametrize("package", ["gateway", "worker", "shared"])
def test_each_runs_its_own_code(trees: dict[str, str], age: str, package: str, tmp_path: Path) -> None:
    """Or the other tests would compare today with today."""
    done = subprocess.run(
        [sys.executable, "-c", f"import {package}; print({package}.__file__)"],
        env=clean_environment(PYTHONPATH=trees[age]),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(trees[age])


def test_jobs_go_from_one_to_the_other_and_back(http: httpx.Client, provider: ScriptedProvider) -> None:
    # When each kind of job is asked for
    plain = {"user_prompt": f"{uuid4()}", "request_id": str(uuid4()), "metadata": {"team": "blau"}}
    asked = [http.post("/invoke", json=plain) for _ in range(2)]
    refused = http.post("/invoke", json={"user_prompt": f"{uuid4()} [[status=400]]"})
    retried = http.post("/invoke", json={"user_prompt": f"{uuid4()} [[status=503 times=1]]"})
    keyed = http.post("/invoke", json={"user_prompt": f"{uuid4()} whose", "openai_api_key": SEALED_KEY})
    # Then each is answered as ever, once
    assert [answer.status_code for answer in asked] == [200, 200]
    assert asked[0].json()["data"]["response"] == f"echo: {plain['user_prompt']}"
    assert asked[0].json()["metadata"] == {"team": "blau"}
    assert asked[1].headers["idempotent-replayed"] == "true"
    assert len(provider.calls_of(str(plain["user_prompt"]))) == 1
    assert refused.json()["error"]["error_code"] == "UPSTREAM_REJECTED"
    assert (retried.status_code, retried.json()["performance"]["attempts"]) == (200, 2)
    assert keyed.status_code == 200, keyed.text


def test_streams_and_openais_form_go_from_one_to_the_other(http: httpx.Client) -> None:
    prompt = f"{uuid4()} [[token_ms=5]] word by word"
    streamed = http.post("/invoke", json={"user_prompt": prompt, "stream": True})
    *deltas, result = events_of(streamed.text.split("\n"))
    assert text_of(deltas) == result.data["data"]["response"] == f"echo: {prompt}"
    messages = [{"role": "user", "content": prompt}]
    chat = http.post("/v1/chat/completions", json={"model": "gpt-4o-mini", "messages": messages})
    assert chat.json()["choices"][0]["message"]["content"] == f"echo: {prompt}"


def test_a_lane_that_the_last_release_does_not_know_waits_for_a_worker_that_does(
    trees: dict[str, str], settings: dict[str, str], tmp_path: Path, provider: ScriptedProvider
) -> None:
    if (Path(trees[LAST]) / "shared" / "domain" / "priority.py").exists():
        pytest.skip("the last release knows the lanes")
    with (
        gateway(tmp_path, **settings) as service,
        worker(tmp_path, "last", PYTHONPATH=trees[LAST], **settings),
        httpx.Client(base_url=service.url, timeout=60) as client,
    ):
        # Given a job in a lane, and one in none, beside a worker of the last release
        low = client.post("/submit", json={"user_prompt": "low"}, headers={"X-Priority": "low"}).json()
        assert client.post("/invoke", json={"user_prompt": "normal"}).status_code == 200
        assert client.get(low["status_url"]).status_code == 202
        # When one of today's joins, then the first is answered too
        with worker(tmp_path, "today", **settings):
            assert client.get(low["status_url"], params={"wait": "30"}).json()["success"]
            assert client.post("/invoke", json={"user_prompt": "again"}).status_code == 200
    assert provider.count() == 3


def test_a_job_is_cancelled_and_another_deleted_from_one_to_the_other(http: httpx.Client) -> None:
    running = http.post("/submit", json={"user_prompt": f"{uuid4()} [[latency_ms=60000]]"}).json()[
        "request_id"
    ]
    until(lambda: http.get(f"/result/{running}").json()["status"] == "running")
    assert http.post(f"/result/{running}/cancel").status_code == 202
    cancelled = http.get(f"/result/{running}", params={"wait": "20"}).json()
    assert cancelled["error"]["error_code"] == "JOB_CANCELLED"
    assert http.delete(f"/result/{running}").status_code == 204
    assert http.get(f"/result/{running}").status_code == 410


@dataclass
class Callers:
    """They ask without a pause, at whichever gateway they are sent to."""

    url: str
    is_over: Event = field(default_factory=Event)
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)

    def ask_on(self) -> None:
        with httpx.Client(timeout=60) as http:
            while not self.is_over.is_set():
                prompt = f"{uuid4()} [[latency_ms=100]]"
                self.answers[prompt] = self._answer(http, prompt)

    def _answer(self, http: httpx.Client, prompt: str) -> dict[str, Any]:
        """A gateway that leaves answers 202, and another one knows the job."""
        answer = http.post(f"{self.url}/invoke", json={"user_prompt": prompt})
        while answer.status_code == 202:
            answer = http.get(f"{self.url}{answer.json()['status_url']}", params={"wait": "20"})
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def have_had(self, more: int) -> Callable[[], bool]:
        """So many answers from now on."""
        enough = len(self.answers) + more
        return lambda: len(self.answers) >= enough


@pytest.mark.campaign
@pytest.mark.parametrize(("before", "after"), [(LAST, TODAY), (TODAY, LAST)], ids=["upgrade", "back again"])
def test_everything_is_replaced_under_load_and_every_job_is_answered_once(
    trees: dict[str, str],
    settings: dict[str, str],
    provider: ScriptedProvider,
    tmp_path: Path,
    before: str,
    after: str,
) -> None:
    of_before, of_after = {"PYTHONPATH": trees[before]}, {"PYTHONPATH": trees[after]}
    with ExitStack() as stack:
        old_gateway = stack.enter_context(gateway(tmp_path, "old-gateway", **of_before, **settings))
        old_worker = stack.enter_context(worker(tmp_path, "old-worker", **of_before, **settings))
        threads = stack.enter_context(ThreadPoolExecutor(CALLERS))
        callers = Callers(old_gateway.url)
        stack.callback(callers.is_over.set)
        # Given callers who never pause
        running = [threads.submit(ask_on) for ask_on in repeat(callers.ask_on, CALLERS)]
        until(callers.have_had(20))
        # When workers are replaced first, a new one before the old one leaves
        stack.enter_context(worker(tmp_path, "new-worker", **of_after, **settings))
        until(callers.have_had(20))
        assert old_worker.terminate(60) == 0
        until(callers.have_had(20))
        # And then the gateways
        new_gateway = stack.enter_context(gateway(tmp_path, "new-gateway", **of_after, **settings))
        callers.url = new_gateway.url
        assert old_gateway.child.terminate(60) == 0
        until(callers.have_had(20))
        callers.is_over.set()
        for each in running:
            each.result(timeout=60)
        # Then each job was answered, by one call, and all of them are known to who came
        calls = [call.message for call in provider.ledger()]
        assert sorted(calls) == sorted(callers.answers)
        for prompt, answer in callers.answers.items():
            assert answer["data"]["response"] == f"echo: {prompt}"
            assert not answer["possible_duplicate_charge"]
            known = httpx.get(f"{new_gateway.url}/result/{answer['request_id']}")
            assert known.json()["data"] == answer["data"]
