"""The contract and integration tests, with Redis and Kafka from containers."""

import sys

import pytest

from tests.ground.engine.docker_engine import Engine
from tests.ground.helm_chart import ROOT
from tests.support.containers import KAFKA_IMAGE, REDIS_IMAGE

pytestmark = pytest.mark.timeout(1800)
_FILES = (
    "tests/contract/test_result_store.py",
    "tests/contract/test_job_queue.py",
    "tests/integration/test_kafka_topics.py",
    "tests/integration/test_result_reader.py",
)
_ANOTHER_BROKER = "not (memory or valkey or sentinel or fallback or degraded or noida or inprocess)"


def test_the_suite_runs_on_containers(built: Engine) -> None:
    variables = {
        "TEST_BROKERS": "containers",
        "TESTCONTAINERS_RYUK_DISABLED": "true",
        "TESTCONTAINERS_CONNECTION_MODE": "docker_host",
    }
    command = [sys.executable, "-m", "pytest", "--quiet", *_FILES, "-k", _ANOTHER_BROKER]
    done = built.run([str(word) for word in command], env=variables | {"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
    assert f"Redis container {REDIS_IMAGE}" in done.stdout
    assert f"Kafka container {KAFKA_IMAGE}" in done.stdout
    assert built.docker_run("ps", "--quiet", "--filter", f"ancestor={KAFKA_IMAGE}").count("\n") <= 1
