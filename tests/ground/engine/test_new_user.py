"""The README's first commands on a clean machine: a clone, and what docs/run.md says that it takes."""

import re
import shlex
import subprocess
from collections.abc import Iterator

import orjson
import pytest

from tests.docs.pages import block
from tests.docs.test_readme import ANSWER, CURL, _shape
from tests.ground.engine.containers_seen import wait_until_true
from tests.ground.engine.docker_engine import Engine
from tests.ground.engine.stand_ins import make_laptop
from tests.ground.helm_chart import ROOT
from tests.support.ports import free_port

pytestmark = pytest.mark.timeout(900)
_FOLDER = "/srv/llm-microservice"
_PACKAGES = re.compile(r"`apt-get install ([a-z0-9 -]+)`")
_START_SECONDS = 600


class Laptop:
    """A container in which somebody types."""

    def __init__(self, engine: Engine, container: str, port: int) -> None:
        self._engine = engine
        self._container = container
        self._port = port

    def type(self, line: str, *options: str) -> str:
        here = line.replace("localhost:8000", f"localhost:{self._port}")
        return self._engine.docker_run("exec", *options, self._container, "bash", "-ec", here)

    def log(self) -> str:
        done = self._engine.run([self._engine.docker, "logs", self._container])
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def laptop(built: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    """A clone, in which the README's first command runs."""
    [packages] = _PACKAGES.findall((ROOT / "docs" / "run.md").read_text())
    image, port = make_laptop(built, packages), free_port()
    clone = tmp_path_factory.mktemp("laptop") / "llm-microservice"
    command = ["git", "clone", "--quiet", "--depth", "1", ROOT.as_uri(), str(clone)]
    subprocess.run(command, check=True, capture_output=True)
    options = ("--network=host", f"--env=LLM_PORT={port}", f"--workdir={_FOLDER}")
    run = shlex.split(block("bash", "make run\n"), comments=True)
    container = built.docker_run("create", *options, image, *run).strip()
    try:
        built.docker_run("cp", f"{clone}/.", f"{container}:{_FOLDER}")
        built.docker_run("start", container)
        yield Laptop(built, container, port)
    finally:
        built.docker_run("rm", "--force", "--volumes", container)


def test_make_run_answers_the_readmes_curl(laptop: Laptop) -> None:
    wait_until_true(lambda: "gateway_ready" in laptop.log(), "make run is ready", _START_SECONDS)
    answer = orjson.loads(laptop.type(f"{CURL} --silent"))
    if "status_url" in answer:  # a busy machine: it took longer than the wait
        answer = orjson.loads(laptop.type(f"curl --silent 'localhost:8000{answer['status_url']}?wait=60'"))
    assert _shape(answer) == _shape(ANSWER), answer
    # And the programs that the pages name are found as they say
    assert "LLM_PORT=" in laptop.type(block("bash", "main.py --check"))
    assert "finished" in laptop.type(f"make find ID={answer['request_id']} || true")
