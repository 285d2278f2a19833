"""What the chart's README says is what the chart does."""

import base64
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.chart_values import CHART_README, chart_values_table
from tests.docs.pages import ROOT
from tests.docs.tables import tables_of
from tests.ground.helm_chart import EXAMPLES, RELEASES, binary, run

TEXT = CHART_README.read_text()
BASH = re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL)


def test_the_table_of_values_is_what_values_yaml_says() -> None:
    assert tables_of(TEXT)["chart_values"] == chart_values_table(), "run make docs"


def test_every_example_is_told_of() -> None:
    told = re.findall(r"^\| \[(\S+)\]\(\.\./values-examples/(\S+)\)", TEXT, re.MULTILINE)
    assert {name for name, _ in told} == {file for _, file in told} == {example.name for example in EXAMPLES}


NAMED = sorted(set(re.findall(r"`((?:gateway|worker|kafka|redis|openai|sealing)\.[\w.]+)`", TEXT)))


@pytest.mark.parametrize("name", NAMED)
def test_a_named_value_exists(name: str) -> None:
    assert (
        f"| `{name}` |" in tables_of(TEXT)["chart_values"] or f"| `{name}." in tables_of(TEXT)["chart_values"]
    )


@pytest.mark.timeout(900)
def test_the_install_is_one_that_helm_takes() -> None:
    [line] = [line for block in BASH for line in block.splitlines() if line.startswith("helm install")]
    words = [str(ROOT / word) if word.startswith("helm/") else word for word in shlex.split(line)[2:]]
    rendered = run(binary(RELEASES[-1]), "template", *words).stdout
    for deployment in re.findall(r"deployment/(\S+)", "".join(BASH)):
        assert f"name: {deployment}\n" in rendered


def test_a_rotation_gives_the_workers_their_keys_first(tmp_path: Path) -> None:
    """The commands as they stand, with a kubectl that writes down what it is asked."""
    # Given keys, and the programs that the commands name
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    _program(tmp_path / "kubectl", f'printf "%s\\n" "$*" >> {tmp_path}/asked')
    _program(tmp_path / "sleep", f'echo "sleep $1" >> {tmp_path}/asked')
    _program(tmp_path / "python", f'exec {sys.executable} "$@"')
    generate = [sys.executable, "-m", "worker.keys", "generate"]
    subprocess.run(generate, cwd=tmp_path, env=environment, check=True, capture_output=True)
    # When a key is rotated
    [commands] = [block for block in BASH if "worker.keys rotate" in block]
    subprocess.run(["bash", "-ec", commands], cwd=tmp_path, env=environment, check=True, capture_output=True)
    # Then the private file is patched, then there is a pause, then the public one is
    private, pause, public = (tmp_path / "asked").read_text().splitlines()
    assert int(pause.removeprefix("sleep ")) >= 120
    for asked, file in ((private, "sealing-keys.json"), (public, "sealing-jwks.json")):
        patch = json.loads(asked.partition("--patch ")[2])
        assert base64.b64decode(patch["data"][file]) == (tmp_path / file).read_bytes()
        assert len(json.loads((tmp_path / file).read_text())["keys"]) == 2


def _program(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/bash\n{body}\n")
    path.chmod(0o755)
