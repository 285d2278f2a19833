"""What the documents say is what the code does."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.chaos.outcome import COLUMNS
from tests.docs.figures import BENCH_COLUMNS
from tests.docs.pages import ROOT, block, whole_text
from tests.docs.tables import ENV_EXAMPLE, MADE, env_example, tables_of
from tests.ground.engine.measured import COLUMNS as IMAGE_COLUMNS
from tests.ground.engine.product_images import IMAGES
from tests.support.service_processes import clean_environment, one_process

TEXT = whole_text()
CURL = block("bash", "curl -X POST localhost:8000/invoke").strip()
ANSWER = orjson.loads(block("json", "confidence"))


@pytest.mark.parametrize("name", list(MADE))
def test_a_table_is_what_the_code_says(name: str) -> None:
    assert tables_of(TEXT)[name] == MADE[name](), "run make docs"


def test_the_env_example_is_what_the_code_says() -> None:
    assert ENV_EXAMPLE.read_text() == env_example(), "run make docs"


def test_the_first_curl_is_answered_by_the_local_model_with_the_shape_shown(tmp_path: Path) -> None:
    # Given the service as `make run` starts it, with no key and no broker
    with one_process(tmp_path) as service:
        assert "the small local model smollm2-135m answers" in service.child.log()
        # When the README's command is run against it
        command = shlex.split(CURL.replace("localhost:8000", service.url.removeprefix("http://")))
        printed = subprocess.run([*command, "--silent"], capture_output=True, check=True, timeout=60)
    # Then the answer has every name and type that the README shows
    answer = orjson.loads(printed.stdout)
    assert _shape(answer) == _shape(ANSWER)
    assert answer["model"] == ANSWER["model"]


@pytest.mark.parametrize(
    ("name", "columns"), [("chaos", list(COLUMNS)), ("flood", list(COLUMNS)), ("bench", BENCH_COLUMNS)]
)
def test_a_table_of_figures_is_whole_and_says_on_what_it_was_measured(name: str, columns: list[str]) -> None:
    text = tables_of(TEXT)[name]
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert [cell.strip() for cell in tables[0][0].strip("|").split("|")] == columns
    for header, _, *rows in tables:
        assert rows
        assert all(row.count("|") == header.count("|") for row in rows)
    assert re.search(r"2 cores.*Kafka.*Redis.*20\d\d-\d\d-\d\d", text)


def test_the_table_of_the_images_names_every_image_and_on_what_it_was_measured() -> None:
    table = tables_of(TEXT)["images"]
    assert table.startswith(f"| {' | '.join(IMAGE_COLUMNS)} |")
    assert re.findall(r"^\| `(\S+)` \|", table, re.MULTILINE) == [image.tag for image in IMAGES]
    assert re.search(r"2 cores.*Docker.*20\d\d-\d\d-\d\d.*`make images`", table)


def test_what_being_seen_costs_says_on_what_it_was_measured() -> None:
    told = tables_of(TEXT)["telemetry"]
    assert re.search(r"costs a job \d+ µs \(\d+-\d+\)", told)
    assert re.search(r"2 cores.*Kafka.*Redis.*20\d\d-\d\d-\d\d.*`python -m tests.bench", told)


@pytest.mark.parametrize("name", ["chaos", "flood"])
def test_the_campaign_lost_nothing(name: str) -> None:
    rows = [
        line.strip("|").split("|") for line in tables_of(TEXT)[name].splitlines() if line.startswith("| ")
    ]
    lost, changed = COLUMNS.index("lost"), COLUMNS.index("changed")
    assert {(row[lost].strip(), row[changed].strip()) for row in rows[2:]} == {("0", "0")}


def test_make_knows_every_target_that_is_named() -> None:
    documents = [TEXT, (ROOT / "CONTRIBUTING.md").read_text(), (ROOT / ".ci/run").read_text()]
    named = {target for text in documents for target in re.findall(r"\bmake ([a-z0-9]+)\b", text)}
    printed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    offered = set(re.findall(r"^  make (\S+)", printed, re.MULTILINE))
    assert {"run", "test", "chaos", "bench"} <= named
    assert named <= offered


@pytest.mark.parametrize("path", re.findall(r"`((?:shared|gateway|worker|helm|tests)/[\w./-]+)`", TEXT))
def test_a_named_file_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("command", ["python -m gateway", "python -m worker"])
def test_a_named_program_can_be_started(command: str) -> None:
    """Both refuse to run without Kafka, and say what to set."""
    result = subprocess.run(
        [sys.executable, *command.split()[1:]],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "KAFKA_ENABLED=true" in result.stderr


def _shape(value: object) -> object:
    """Names and types; a number is a number."""
    if isinstance(value, dict):
        return {name: _shape(inner) for name, inner in value.items()}
    return float if isinstance(value, int | float) and not isinstance(value, bool) else type(value)
