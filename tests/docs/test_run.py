"""The commands with which the pages start, install and replace it."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml

from tests.docs.pages import ROOT, block, blocks
from tests.ground.helm_chart import RELEASES, binary, run
from tests.ground.test_compose import COMPOSE, SERVICES
from tests.ground.test_env_names import SETTINGS
from tests.support.noida_kafka import NoidaKafka
from tests.support.ports import free_port
from tests.support.processes import start, wait_for_line
from tests.support.provider_process import ScriptedProvider
from tests.support.server import AnyRedis
from tests.support.service_processes import clean_environment


def _joined(body: str) -> str:
    """A command on several lines is one."""
    return body.replace("\\\n", " ")


LINES = [
    line.partition("   #")[0].strip()
    for each in blocks("bash")
    for part in _joined(each.body).splitlines()
    for line in part.split(" && ")
]
COMPOSE_LINES = [line for line in LINES if "docker compose" in line]
HELM_LINES = [line for line in LINES if line.startswith("helm")]
COMPOSE_COMMANDS = {"up", "down", "logs", "exec", "restart"}
COMPOSE_OPTIONS = {"--build", "--detach", "--profile"}


@pytest.mark.parametrize("word", ["make test", "make run\n"])
def test_make_comes_to_the_program(word: str, tmp_path: Path) -> None:
    """Without installing anything: what it would do in a fresh clone."""
    for line in block("bash", word).splitlines():
        command = [*shlex.split(line, comments=True), "--dry-run", f"VENV={tmp_path}/venv"]
        environment = clean_environment()
        for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):  # of the make that runs this test
            environment.pop(name, None)
        planned = subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        last = planned.splitlines()[-1]
        assert re.search(rf"{tmp_path}/venv/bin/python (main\.py|-m pytest)", last), last


def test_check_shows_what_would_take_effect(tmp_path: Path) -> None:
    activate, command = block("bash", "main.py --check").splitlines()
    assert activate == f". {_venv()}/bin/activate"
    command = command.replace("python main.py", f"{sys.executable} {ROOT}/main.py")
    environment = clean_environment(OPENAI_API_KEY="sk-CANARY-of-the-service")
    shown = subprocess.run(
        shlex.split(command), env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert "LLM_PORT=8000" in shown
    assert "CANARY" not in shown


def _venv() -> str:
    """Where `make` puts it."""
    [name] = re.findall(r"^VENV := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return str(name)


def test_worker_and_gateway_start_as_told(
    any_redis: AnyRedis, provider: ScriptedProvider, tmp_path: Path
) -> None:
    port = free_port()
    environment = clean_environment(
        LLM_PORT=f"{port}", WORKER_HEALTH_PORT="0", OPENAI_BASE_URL=provider.base_url
    )
    with NoidaKafka() as kafka:
        commands = block("bash", "python -m worker &").replace("python ", f"{sys.executable} ")
        commands = commands.replace("redis://localhost:6379", any_redis.url)
        commands = commands.replace("localhost:9092", kafka.bootstrap_servers)
        with start(
            ["bash", "-ec", commands], log_path=tmp_path / "all.log", env=environment, cwd=tmp_path
        ) as all_of_it:
            for event in ("topics_exist", "gateway_ready", "partitions_assigned"):
                wait_for_line(all_of_it, event, 60)
            answer = httpx.post(f"http://127.0.0.1:{port}/invoke", json={"user_prompt": "x"}, timeout=60)
            assert answer.status_code == 200


@pytest.mark.parametrize("word", ["WORKER_REPLICAS=3", "observability down", "OTEL_EXPORTER"])
def test_the_block_is_one_of_compose(word: str) -> None:
    assert any(line in block("bash", word) for line in COMPOSE_LINES)


@pytest.mark.parametrize("line", COMPOSE_LINES)
def test_compose_knows_what_it_is_told(line: str) -> None:
    """`make images` runs them, where there is an engine."""
    before, _, after = line.partition("docker compose ")
    words = shlex.split(after.partition(" | ")[0].partition(" python ")[0])
    profiles = {profile for service in SERVICES.values() for profile in service.get("profiles", [])}
    assert set(re.findall(r"--profile (\S+)", after)) <= profiles
    assert {word for word in words if word.startswith("--")} <= COMPOSE_OPTIONS
    variables = yaml.safe_dump(COMPOSE, indent=2)
    assert all(f"\n      {name}:" in variables for name in re.findall(r"(\w+)=", before))
    [command] = [word for word in words if word in COMPOSE_COMMANDS]
    named = set(words[words.index(command) + 1 :]) - COMPOSE_OPTIONS
    assert named <= set(SERVICES)


def test_compose_reads_what_is_written_into_its_env_file() -> None:
    written = {name for line in LINES for name in re.findall(r"^echo (\w+)=\S+ >>\.env$", line)}
    file = (ROOT / "docker-compose.yml").read_text()
    assert written
    assert [
        name for name in written if not re.search(rf"\$\{{{name}\b|^      {name}:$", file, re.MULTILINE)
    ] == []


def test_an_override_changes_only_services_that_there_are() -> None:
    override = yaml.safe_load(block("yaml", "LLM_SUPPORTED_MODELS"))
    assert set(override) == {"services"}
    for service, changed in override["services"].items():
        read = SETTINGS[service].model_fields
        assert {name.lower() for name in changed["environment"]} <= set(read)


def test_what_docker_builds_is_there() -> None:
    build, container = block("bash", "docker run -p").splitlines()
    [file], [target] = re.findall(r"-f (\S+)", build), re.findall(r"--target (\S+)", build)
    text = (ROOT / file).read_text()
    assert re.search(rf"^FROM .* AS {target}$", text, re.MULTILINE)
    assert all(
        re.search(rf"^ARG {name}\b", text, re.MULTILINE) for name in re.findall(r"--build-arg (\w+)", build)
    )
    [tag] = re.findall(r"-t (\S+)", build)
    assert tag in container


def test_what_is_pushed_is_what_was_built_and_what_the_chart_pulls() -> None:
    lines = block("bash", "docker push")
    chart = yaml.safe_load((ROOT / "helm/llm-microservice/Chart.yaml").read_text())
    built = re.findall(r"^docker build -f (\S+) -t (\S+):(\S+) \. && docker push (\S+)$", lines, re.MULTILINE)
    pulled = re.findall(r"--set \w+\.image\.repository=(\S+)", lines)
    assert [(name, version) for _, name, version, _ in built] == [
        (name, chart["appVersion"]) for name in pulled
    ]
    for file, name, version, pushed in built:
        assert pushed == f"{name}:{version}"
        assert file.removeprefix("Dockerfile.") == name.rpartition("-")[2]
        assert (ROOT / file).exists()


@pytest.mark.parametrize("word", ["production.yaml", "helm upgrade", "docker push"])
def test_the_block_is_one_of_helm(word: str) -> None:
    assert any(line in _joined(block("bash", word)) for line in HELM_LINES)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.major)
@pytest.mark.parametrize("line", HELM_LINES)
def test_helm_takes_it(line: str, release: object) -> None:
    helm = binary(RELEASES[[each is release for each in RELEASES].index(True)])
    _, command, *words = shlex.split(line)
    options = {word for word in words if word.startswith("--")}
    assert all(option in run(helm, command, "--help").stdout for option in options)
    rest = [str(ROOT / word) if word.startswith("helm/") else word for word in words]
    rest = [word for word in rest if word != "--reset-then-reuse-values"]
    assert "kind: Deployment" in run(helm, "template", *rest).stdout
