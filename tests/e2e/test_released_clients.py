"""Clients that are not ours, each the released package, against every way to run the service."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import missing
from tests.support.availability import Unavailable
from tests.support.browser import find_chromium
from tests.support.event_stream import events_of, text_of
from tests.support.npm_packages import NODE, OPENAI, node_modules
from tests.support.service_processes import one_process

CLIENTS = Path(__file__).parent / "clients"
CODES = {
    "node": "BadRequestError 400 invalid_value temperature",
    "langchain": "OpenAIInvalidRequestError 400 invalid_value temperature",
    "litellm": "BadRequestError 400",
    "browser": "400 invalid_value",
}


def _command(client: str) -> Sequence[str | Path]:
    match client:
        case "node":
            return [NODE, CLIENTS / "node_client.cjs"]
        case "browser":
            return [sys.executable, CLIENTS / "browser_client.py", find_chromium()]
        case _:
            return [sys.executable, CLIENTS / f"{client}_client.py"]


def run(client: str, url: str, model: str, prompt: str) -> dict[str, Any]:
    """What the client printed."""
    env = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}
    try:
        if client == "node":
            env["NODE_PATH"] = str(node_modules(OPENAI))
        command = _command(client)
    except Unavailable as reason:
        missing(str(reason))
    command = [*command, f"{url}/v1", model, prompt]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=150)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return told


@pytest.mark.parametrize("client", CODES)
def test_a_released_client_works_unchanged(service_url: str, client: str) -> None:
    prompt = f"{uuid4()} [[token_ms=5]] in a few words"
    told = run(client, service_url, "gpt-4o-mini", prompt)
    assert told["whole"] == told["streamed"] == f"echo: {prompt}"
    assert told.get("followed", told["whole"]) == told["whole"]
    assert told["chunks"] > 2
    assert (told["tool"], told["code"]) == ("look_up", CODES[client])


def test_curl_shows_the_stream_as_it_comes(service_url: str) -> None:
    prompt = f"{uuid4()} [[token_ms=5]] in a few words"
    body = json.dumps({"user_prompt": prompt, "stream": True})
    command = ["curl", "-N", "--silent", "-X", "POST", f"{service_url}/invoke"]
    done = subprocess.run(
        [*command, "-H", "content-type: application/json", "-d", body],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    *deltas, result = events_of(done.stdout.split("\n"))
    assert text_of(deltas) == result.data["data"]["response"] == f"echo: {prompt}"


@pytest.fixture(scope="module")
def local_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with one_process(tmp_path_factory.mktemp("local"), REDIS_ENABLED="false") as service:
        yield service.url


@pytest.mark.parametrize("client", CODES)
def test_the_local_model_answers_a_released_client(local_model: str, client: str) -> None:
    # It is too small to call tools, or to say the same twice
    told = run(client, local_model, "smollm2-135m", "What is the capital of France?")
    assert told["whole"].strip()
    assert told["streamed"].strip()
    assert told["code"] == CODES[client]
