"""An engine, and every image built in it; where there is none, each test says why it did not run."""

from collections.abc import Iterator

import pytest

from tests.ground.engine.compose_project import ComposeProject, compose_project
from tests.ground.engine.docker_engine import Engine, running_engine
from tests.ground.engine.measured import FIGURES, Measured
from tests.ground.engine.product_images import IMAGES, build
from tests.ground.engine.stand_ins import make_stand_ins
from tests.support.availability import Unavailable

_MEASURED = pytest.StashKey[Measured]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_MEASURED] = Measured()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if table := config.stash[_MEASURED].table():
        terminalreporter.write_line(f"\n{table}")
        FIGURES.parent.mkdir(parents=True, exist_ok=True)
        FIGURES.write_text(f"{table}\n")


@pytest.fixture(scope="session")
def engine(pytestconfig: pytest.Config) -> Iterator[Engine]:
    """Also where `CI=true`, a machine that can run no engine skips."""
    try:
        opened = running_engine()
        found = opened.__enter__()
    except Unavailable as reason:
        pytest.skip(str(reason))
    try:
        pytestconfig.stash[_MEASURED].engine = found.name
        yield found
    finally:
        opened.__exit__(None, None, None)


@pytest.fixture(scope="session")
def built(engine: Engine) -> Engine:
    """The engine with all our images in it."""
    if engine.is_own:
        make_stand_ins(engine)
    for image in IMAGES:
        build(engine, image)
    return engine


@pytest.fixture(scope="session")
def measured(pytestconfig: pytest.Config) -> Measured:
    return pytestconfig.stash[_MEASURED]


@pytest.fixture(scope="session")
def project(built: Engine) -> Iterator[ComposeProject]:
    """`docker compose --profile local-model up`, with no key anywhere."""
    with compose_project(built) as project:
        project.up()
        yield project
