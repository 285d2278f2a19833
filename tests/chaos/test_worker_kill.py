"""A worker dies, leaves or freezes under 200 calls in flight, and every job is answered once."""

from pathlib import Path

import pytest

from tests.chaos.campaign import run_campaign
from tests.chaos.deployment import Surroundings
from tests.chaos.outcome import judge
from tests.chaos.plans import SHORT

pytestmark = pytest.mark.campaign


@pytest.mark.timeout(400)
@pytest.mark.parametrize("fault", ["kill", "roll", "freeze"])
async def test_every_job_survives(fault: str, surroundings: Surroundings, log_folder: Path) -> None:
    outcome = judge(await run_campaign(SHORT[fault], surroundings, log_folder))

    print(outcome.cells, outcome.remarks)
    assert not outcome.violations, "\n".join(map(str, outcome.violations))
