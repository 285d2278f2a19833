"""docker-compose.yml, brought up and driven: no key anywhere, a small model in a container answers."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest

from tests.conftest import missing
from tests.docs.pages import block
from tests.docs.test_readme import ANSWER, CURL, _shape
from tests.ground.engine.compose_project import ComposeProject
from tests.ground.engine.consumer_group import partitions_of_members
from tests.ground.engine.containers_seen import seconds_until, wait_until_healthy, wait_until_true
from tests.ground.engine.measured import Measured
from tests.ground.engine.product_images import GATEWAY, LOCAL_MODEL, WORKER, inspect
from tests.ground.engine.stand_ins import make_prometheus

pytestmark = pytest.mark.timeout(1800)
_JOBS = 300
_CALL_MS = 10_000
_EVERYWHERE = ("gateway", "worker", "redis", "kafka", "local-model")
_OURS = {"gateway": GATEWAY, "worker": WORKER, "local-model": LOCAL_MODEL}


@pytest.mark.parametrize("service", [*_OURS, "redis", "kafka"])
def test_every_container_becomes_healthy(project: ComposeProject, service: str) -> None:
    (container,) = project.containers(service)
    wait_until_healthy(project.engine, container)


@pytest.mark.parametrize("service", list(_OURS))
def test_our_containers_are_confined_and_their_start_is_measured(
    project: ComposeProject, service: str, measured: Measured
) -> None:
    (container,) = project.containers(service)
    host = inspect(project.engine, container)["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    image = _OURS[service]
    measured.start_seconds[image.tag] = seconds_until(project.engine, container, image.ready)


def test_the_readmes_curl_is_answered_without_a_key(project: ComposeProject) -> None:
    command = shlex.split(
        CURL.replace("http://localhost:8000", project.url).replace("localhost:8000", project.url)
    )
    printed = subprocess.run([*command, "--silent"], capture_output=True, check=True, timeout=90)
    answer = orjson.loads(printed.stdout)
    if "status_url" in answer:  # a busy machine: it took longer than the wait
        with httpx.Client(base_url=project.url, timeout=90) as client:
            answer = _result(client, answer["request_id"])
    assert _shape(answer) == _shape(ANSWER), answer
    assert answer["model"] == ANSWER["model"], "the answer says who spoke"


@pytest.fixture
def three_workers(project: ComposeProject) -> Iterator[ComposeProject]:
    """They ask a provider whose pace does not depend on the machine."""
    with project.scripted_provider() as base_url:
        project.settings["OPENAI_BASE_URL"] = base_url
        project.up("--scale", "worker=3")
        yield project
        project.settings.clear()


def test_three_workers_share_the_partitions_and_one_of_them_dies_under_load(
    three_workers: ComposeProject,
) -> None:
    # Given three workers that share the partitions
    project = three_workers
    wait_until_true(lambda: _spread(project) == [8, 8, 8], "three workers with 8 partitions each", 300)
    # And jobs, a third of which one of them holds
    ids = [str(uuid4()) for _ in range(_JOBS)]
    with httpx.Client(base_url=project.url, timeout=120) as client:
        for request_id in ids:
            _submit(client, request_id)
        # When a worker is killed before they are done
        victim = project.containers("worker")[0]
        project.engine.docker_run("kill", "--signal=KILL", victim)
        unfinished = [i for i in ids if client.get(f"/result/{i}").status_code == httpx.codes.ACCEPTED]
        assert unfinished, "the kill came too late to mean anything"
        # Then every job that was accepted has its one answer
        answers = [_result(client, request_id) for request_id in ids]
    assert [answer["status"] for answer in answers] == ["succeeded"] * _JOBS
    assert len(project.containers("worker")) == 2
    # And the two that are left share what it had
    wait_until_true(lambda: _spread(project) == [12, 12], "two workers with 12 partitions each")


def test_the_pages_way_leads_from_one_worker_to_three(project: ComposeProject) -> None:
    """docs/run.md, line by line; what is watched with is asked for below, where there is an image of it."""
    shown = ""
    for line in _lines(block("bash", "WORKER_REPLICAS=3")):
        if line.startswith("curl"):
            assert orjson.loads(_bash(line, project))["status"] == "healthy"
        elif line.startswith("echo"):
            [(name, value)] = re.findall(r"^echo (\w+)=(\d+) >>\.env$", line)
            project.settings[name] = value
        elif " up " in line:
            words = [word for word in shlex.split(line)[2:] if word not in ("--build", "--detach")]
            project.compose(*words, "--detach", "--no-build", *_EVERYWHERE)
        else:
            wait_until_true(lambda: _spread(project) == [8, 8, 8], "three workers with 8 partitions each")
            _, asked, filtered = re.split(r"docker compose | \| grep ", line)
            shown = "".join(each for each in project.compose(*asked.split()).splitlines() if filtered in each)
    assert shown.count('"partitions":8') >= 3
    # And one of them finds a request
    answer = orjson.loads(_bash(f"{CURL} --silent", project))
    [find] = _lines(block("bash", "exec worker python -m worker.find"))
    _, *words = shlex.split(find.replace("docker compose ", "", 1))
    told = project.compose("exec", "-T", *words[:-1], answer["request_id"])
    assert f"{answer['request_id']}\n" in told
    assert "accepted" in told


def _lines(body: str) -> list[str]:
    return [line.partition("   #")[0].strip() for line in body.splitlines()]


def _bash(line: str, project: ComposeProject) -> bytes:
    here = line.replace("localhost:8000", project.url)
    return subprocess.run(["bash", "-ec", here], capture_output=True, check=True, timeout=120).stdout


def test_prometheus_asks_the_gateway_and_every_worker(project: ComposeProject) -> None:
    if project.engine.is_own:
        make_prometheus(project.engine)
    project.up("--no-recreate", "prometheus", profile="observability")
    address = f"http://localhost:{project.ports['prometheus']}/api/v1/targets"
    workers = len(project.containers("worker"))
    expected = sorted(["gateway", *["worker"] * workers])
    wait_until_true(_asker(address, expected), f"Prometheus asks {expected}")


def test_an_alert_of_prometheus_fires_as_told(project: ComposeProject) -> None:
    if shutil.which("kcat") is None:
        missing("kcat is not installed")
    spoil, ask, show = _lines(block("bash", "'no JSON'"))
    # Given a record that can never become a result
    run = spoil.replace("127.0.0.1:9092", f"127.0.0.1:{project.ports['kafka']}")
    subprocess.run(["bash", "-ec", run], capture_output=True, check=True, timeout=60)
    # Then the page's alert fires
    command = shlex.split(ask.replace("localhost:9090", f"localhost:{project.ports['prometheus']}"))
    wait_until_true(lambda: "LlmDeadLetters" in _firing(command), "LlmDeadLetters fires")
    # And what its entry says to run shows why
    words = shlex.split(show.replace("docker compose exec ", "", 1))
    assert "INVALID_JSON" in project.compose("exec", "-T", *words)


def _firing(command: list[str]) -> set[str]:
    printed = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    return {
        alert["labels"]["alertname"]
        for alert in orjson.loads(printed)["data"]["alerts"]
        if alert["state"] == "firing"
    }


def _asker(address: str, expected: list[str]) -> Callable[[], bool]:
    def asks_them_all() -> bool:
        try:
            targets = httpx.get(address).json()["data"]["activeTargets"]
        except httpx.TransportError:
            return False
        return sorted(t["labels"]["job"] for t in targets if t["health"] == "up") == expected

    return asks_them_all


def _spread(project: ComposeProject) -> list[int]:
    return sorted(partitions_of_members(f"localhost:{project.ports['kafka']}", "llm-workers"))


def _submit(client: httpx.Client, request_id: str) -> None:
    body = {"request_id": request_id, "user_prompt": f"{request_id} [[latency_ms={_CALL_MS}]]"}
    assert client.post("/submit", json=body).status_code == httpx.codes.ACCEPTED


def _result(client: httpx.Client, request_id: str) -> dict[str, Any]:
    answer = client.get(f"/result/{request_id}", params={"wait": 80})
    while answer.status_code == httpx.codes.ACCEPTED:
        answer = client.get(f"/result/{request_id}", params={"wait": 80})
    body: dict[str, Any] = answer.json()
    return body
