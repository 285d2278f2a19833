"""The forge's own CI: valid, pinned, with no more rights than it needs, and naming only what is there."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW, DEPENDABOT = ROOT / ".github/workflows/ci.yml", ROOT / ".github/dependabot.yml"
CI: dict[Any, Any] = yaml.safe_load(WORKFLOW.read_text())
JOBS: dict[str, dict[str, Any]] = CI["jobs"]
SCHEMAS = {WORKFLOW: "vendor.github-workflows", DEPENDABOT: "vendor.dependabot"}
PINNED = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40}")


def steps() -> Iterator[dict[str, Any]]:
    return (step for job in JOBS.values() for step in job["steps"])


def commands() -> str:
    return "\n".join(str(step["run"]) for step in steps() if "run" in step)


def checked(schema: str, file: Path) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema"]
    return subprocess.run([*command, schema, file], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("file", list(SCHEMAS), ids=lambda file: file.name)
def test_a_file_is_what_the_forge_takes(file: Path) -> None:
    done = checked(SCHEMAS[file], file)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("file", "break_it"),
    [
        (WORKFLOW, lambda text: text.replace("runs-on:", "run-on:", 1)),
        (WORKFLOW, lambda text: text.replace("contents: read", "contents: look", 1)),
        (DEPENDABOT, lambda text: text.replace("interval: weekly", "interval: often", 1)),
    ],
)
def test_a_mistake_in_it_is_seen(file: Path, break_it: Callable[[str], str], tmp_path: Path) -> None:
    broken = tmp_path / file.name
    broken.write_text(break_it(file.read_text()))
    assert broken.read_text() != file.read_text()
    assert checked(SCHEMAS[file], broken).returncode == 1


def test_every_target_of_make_exists() -> None:
    named = set(re.findall(r"\bmake ([a-z0-9-]+)", commands()))
    offered = set(re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"check", "test", "chart", "hashes", "audit", "sbom"} <= named
    assert named <= offered


def test_every_file_that_is_named_exists() -> None:
    paths = [str(step.get("with", {}).get("cache-dependency-path", "Makefile")) for step in steps()]
    paths += re.findall(r"--file (\S+)", commands())
    assert all(list(ROOT.glob(path)) for path in paths), paths
    directories = [
        folder
        for update in yaml.safe_load(DEPENDABOT.read_text())["updates"]
        for folder in update.get("directories", [update.get("directory")])
    ]
    assert all((ROOT / folder.strip("/")).is_dir() for folder in directories)


def test_every_stage_and_profile_that_is_named_exists() -> None:
    worker = (ROOT / "Dockerfile.worker").read_text()
    assert all(f" AS {target}\n" in worker for target in re.findall(r"--target (\S+)", commands()))
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    profiles = {each for service in compose["services"].values() for each in service.get("profiles", [])}
    assert set(re.findall(r"--profile (\S+)", commands())) <= profiles


def test_actions_are_pinned_and_say_which_version_that_is() -> None:
    lines = [line.strip() for line in WORKFLOW.read_text().splitlines() if "uses:" in line]
    assert lines
    for line in lines:
        assert re.fullmatch(rf"- uses: {PINNED.pattern} # v\d+\.\d+\.\d+", line), line


def test_it_may_read_the_repository_and_nothing_else() -> None:
    assert CI["permissions"] == {"contents": "read"}
    assert all("permissions" not in job and job["timeout-minutes"] for job in JOBS.values())
    assert "secrets." not in WORKFLOW.read_text()
    checkouts = [step for step in steps() if str(step.get("uses", "")).startswith("actions/checkout@")]
    assert len(checkouts) == len(JOBS)
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_every_python_that_we_promise_is_tested() -> None:
    least = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    versions = JOBS["test"]["strategy"]["matrix"]["python"]
    assert least == f">={versions[0]}"
    assert versions == ["3.11", "3.12", "3.13", "3.14"]


def test_no_untrusted_word_gets_into_a_shell() -> None:
    """A branch or a title that somebody chose would be run there."""
    assert "${{" not in commands()


@pytest.mark.parametrize("file", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda file: file.name)
def test_every_requirement_is_pinned_and_hashed(file: Path) -> None:
    entries = file.read_text().replace("\\\n", " ").splitlines()
    assert entries
    assert all(re.match(r"[\w.\[\]-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
