from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.ground.chart_copy import copy_chart
from tests.ground.helm_chart import EXAMPLES, RELEASES, HelmRelease, binary, run


@pytest.fixture(scope="session", params=RELEASES, ids=lambda release: f"helm-{release.major}")
def helm_release(request: pytest.FixtureRequest) -> HelmRelease:
    release: HelmRelease = request.param
    return release


@pytest.fixture(scope="session")
def helm(helm_release: HelmRelease) -> Path:
    return binary(helm_release)


@pytest.fixture(scope="session")
def newest_helm() -> Path:
    """For what the template language decides, which is the same in both."""
    return binary(RELEASES[-1])


@pytest.fixture(scope="session")
def whole_chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_chart(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="session")
def renderings(helm: Path, whole_chart: Path) -> dict[str, str]:
    """The manifests of every example."""

    def rendered(example: Path) -> str:
        return run(helm, "template", "release", str(whole_chart), "--values", str(example)).stdout

    with ThreadPoolExecutor() as threads:
        return dict(zip((e.stem for e in EXAMPLES), threads.map(rendered, EXAMPLES), strict=True))
