from pathlib import Path

import pytest

from tests.ground.helm_chart import RELEASES, HelmRelease, binary


@pytest.fixture(scope="session", params=RELEASES, ids=lambda release: f"helm-{release.major}")
def helm_release(request: pytest.FixtureRequest) -> HelmRelease:
    release: HelmRelease = request.param
    return release


@pytest.fixture(scope="session")
def helm(helm_release: HelmRelease) -> Path:
    return binary(helm_release)
