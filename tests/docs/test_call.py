"""docs/call.md's commands, run as they stand there."""

import shlex
import subprocess
import sys

import orjson

from tests.docs.conftest import Deployment
from tests.docs.pages import block


def test_a_job_is_submitted_read_and_deleted(address: str) -> None:
    submit, read, delete = block("bash", "curl -X DELETE").replace("localhost:8000", address).splitlines()
    accepted = orjson.loads(curl(submit))
    result = orjson.loads(curl(read))
    while result["status"] == "running":  # on a busy machine, as whoever waits would
        result = orjson.loads(curl(read))
    assert (result["status"], result["request_id"]) == ("succeeded", accepted["request_id"])
    assert curl(delete) == ""
    assert orjson.loads(curl(read))["error"]["error_code"] == "GONE"


def test_the_cache_is_shown_and_purged(deployment: Deployment) -> None:
    show, purge = block("bash", "gateway.cache purge").splitlines()
    for command in (show, purge):
        _, *words = shlex.split(command, comments=True)
        assert deployment.run([sys.executable, *words])


def curl(command: str) -> str:
    done = subprocess.run(
        [*shlex.split(command), "--silent"], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout
