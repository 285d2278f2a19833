"""docs/operate.md's commands, run as they stand there."""

import re
import shlex
import sys
from uuid import uuid4

import httpx
import orjson

from tests.docs.conftest import Deployment
from tests.docs.pages import ROOT, block
from tests.docs.test_call import curl
from tests.e2e.test_lifecycle import until
from tests.support.topics import produce


def test_health_and_stats_answer(address: str) -> None:
    health, ready, stats = (
        line.partition("   #")[0].replace("localhost:8000", address)
        for line in block("bash", "/health/ready").splitlines()
    )
    assert orjson.loads(curl(health))["mode"] == "one process"
    assert orjson.loads(curl(ready))
    assert "queue" in orjson.loads(curl(stats))


async def test_dead_letters_are_listed_and_would_be_sent_again(deployment: Deployment) -> None:
    # Given a record that can never become a result
    await produce(deployment.brokers, "llm-requests", b"no JSON", key=b"x")
    show, redrive = (
        [sys.executable, *shlex.split(line, comments=True)[1:]]
        for line in block("bash", "redrive --since").splitlines()
    )
    until(lambda: "INVALID_JSON" in listed(deployment, show))
    # Then it is one that a redrive would send
    assert "1" in deployment.run(redrive)


async def test_the_alerts_record_is_one_that_the_runbooks_command_lists(deployment: Deployment) -> None:
    """That it fires, and how a container is asked: `make images`."""
    spoil, _, show = block("bash", "'no JSON'").splitlines()
    [record] = re.findall(r"^echo '(.+)' \| kcat -P -b 127\.0\.0\.1:9092 -t llm-requests ", spoil)
    await produce(deployment.brokers, "llm-requests", record.encode())
    command = [sys.executable, *shlex.split(show.partition("worker python ")[2], comments=True)]
    until(lambda: "INVALID_JSON" in listed(deployment, command))


def listed(deployment: Deployment, command: list[str]) -> str:
    """Nothing there is exit code 1."""
    return deployment.run(["bash", "-c", f"{shlex.join(command)} || true"])


def test_one_request_is_found_as_told(deployment: Deployment) -> None:
    request_id = str(uuid4())
    body = {"user_prompt": "x", "request_id": request_id}
    assert httpx.post(f"{deployment.url}/invoke", json=body, timeout=60).status_code == 200
    text = (ROOT / "docs" / "operate.md").read_text()
    assert re.search(r"`make find ID=[0-9a-f-]{36}`", text)
    [program] = re.findall(r"`python -m (worker\.find)`", text)
    assert f"exec worker python -m {program} " in block("bash", "exec worker python -m worker.find")
    told = orjson.loads(deployment.run([sys.executable, "-m", program, request_id, "--json"]))
    assert told["entries"]
