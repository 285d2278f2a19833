"""The image `llm-microservice`: the whole service in one container."""

import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import orjson
import pytest

from tests.docs.test_readme import ANSWER, CURL, _shape
from tests.ground.engine.compose_project import ComposeProject
from tests.ground.engine.containers_seen import seconds_until, wait_until_healthy
from tests.ground.engine.docker_engine import Engine
from tests.ground.engine.measured import Measured
from tests.ground.engine.product_images import SERVICE

pytestmark = pytest.mark.timeout(1800)


@contextmanager
def running(engine: Engine, *options: str) -> Iterator[str]:
    """`docker run`, with nothing it may write to but what it has to."""
    confined = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--publish=127.0.0.1::8000")
    container = engine.docker_run("run", "--detach", *confined, *options, SERVICE.tag).strip()
    try:
        yield container
    finally:
        engine.docker_run("rm", "--force", "--volumes", container)


def test_it_answers_the_readmes_curl_with_the_services_key(
    project: ComposeProject, measured: Measured
) -> None:
    # Given a container that is given a key, and a server that takes any
    key = ("--env=OPENAI_API_KEY=sk-of-the-service", "--env=OPENAI_BASE_URL=http://local-model:8002/v1")
    with running(project.engine, *key, f"--network={project.network}") as container:
        wait_until_healthy(project.engine, container)
        measured.start_seconds[SERVICE.tag] = seconds_until(project.engine, container, SERVICE.ready)
        # When the README's command is run against it
        address = project.engine.docker_run("port", container, "8000").split()[0]
        command = shlex.split(CURL.replace("localhost:8000", address))
        printed = subprocess.run([*command, "--silent"], capture_output=True, check=True, timeout=90)
    answer = orjson.loads(printed.stdout)
    assert _shape({**answer, "cost_usd": None}) == _shape(ANSWER), answer  # the model it names has a price


def test_it_starts_as_the_first_releases_compose_file_starts_it(project: ComposeProject) -> None:
    """Redis and Kafka under their names, no key of its own, and curl as the health check."""
    variables = {
        "REDIS_URL": "redis://redis:6379",
        "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
        "KAFKA_ENABLED": "true",
        "LLM_LOG_LEVEL": "INFO",
    }
    options = [f"--env={name}={value}" for name, value in variables.items()]
    with running(project.engine, *options, f"--network={project.network}") as container:
        wait_until_healthy(project.engine, container)
        asked = ("curl", "-f", "http://localhost:8000/health")
        health = orjson.loads(project.engine.docker_run("exec", container, *asked))
    assert health["status"] == "healthy", health
