"""What an install says at its end: what to do next, and what is not as it should be in production.

Only Helm 4 shows it without a cluster; what Helm 3 renders and lints goes through the same template.
"""

from pathlib import Path

import pytest

from tests.ground.helm_chart import CHART, EXAMPLES, example_file, run

pytestmark = pytest.mark.timeout(900)


def notes(helm: Path, *settings: str, example: str = "") -> str:
    values = ["--values", str(example_file(example))] if example else []
    words = [word for setting in settings for word in ("--set", setting)]
    done = run(helm, "install", "release", str(CHART), "--dry-run=client", *values, *words)
    return done.stdout.partition("\nNOTES:\n")[2]


@pytest.mark.parametrize("example", [example.stem for example in EXAMPLES])
def test_every_install_says_how_to_try_scale_and_what_is_not_durable(newest_helm: Path, example: str) -> None:
    said = notes(newest_helm, example=example)
    for expected in ("port-forward service/", "curl localhost:8000/invoke", "Scale it:", "Not durable:"):
        assert expected in said


@pytest.mark.parametrize(
    ("settings", "warning"),
    [
        ((), "the workers refuse to start"),
        ((), "whoever reaches the gateway may call it"),
        ((), "networkPolicy.enabled"),
        (("worker.replicas=30",), "30 workers share 24 partitions"),
    ],
)
def test_what_is_not_as_it_should_be_is_said(
    newest_helm: Path, settings: tuple[str, ...], warning: str
) -> None:
    said = notes(newest_helm, *settings)
    assert any(line.startswith("WARNING: ") and warning in line for line in said.splitlines())


def test_the_demo_says_that_it_keeps_nothing(newest_helm: Path) -> None:
    assert "DEMO: Redis and Kafka of this release keep nothing" in notes(newest_helm, example="demo")
    assert "DEMO" not in notes(newest_helm, example="minimal")


def test_production_has_nothing_to_be_warned_of(newest_helm: Path) -> None:
    warnings = [line for line in notes(newest_helm, example="production").splitlines() if "WARNING" in line]
    assert [line for line in warnings if "this chart has no" not in line] == []


def test_a_key_in_the_workers_own_environment_is_a_key(newest_helm: Path) -> None:
    own = ("worker.extraEnv[0].name=OPENAI_BASE_URL", "worker.extraEnv[0].value=http://llm")
    assert "refuse to start" not in notes(newest_helm, *own)
