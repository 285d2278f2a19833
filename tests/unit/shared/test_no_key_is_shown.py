"""What a traceback, a `repr` and a log line of a job with a key show."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from loguru import logger
from pydantic import SecretStr

from shared.domain.invoke_body import InvokeBody
from shared.domain.job import Job, ModelDefaults, job_from_body
from shared.telemetry.logging import configure_logging

KEY = "sk-CANARY-1f0e9d8c7b6a5f4e3d2c"
PROMPT = "a prompt that is nobody's business"


@pytest.fixture
def job() -> Job:
    body = InvokeBody(user_prompt=PROMPT, openai_api_key=SecretStr(KEY))
    defaults = ModelDefaults("gpt-4o-mini", 0.7, 100, ("gpt-4o-mini",))
    return job_from_body(body, defaults, deadline=datetime.now(UTC) + timedelta(minutes=1))


@pytest.fixture(autouse=True, params=[True, False], ids=["debug", "usual"])
def _logs(request: pytest.FixtureRequest, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Captured before the sink takes its stream."""
    assert capfd
    configure_logging("gateway", "DEBUG", is_debug=request.param)
    yield
    logger.remove()


def crash(job: Job) -> None:
    key = job.api_key
    if key is not None:
        raise RuntimeError(f"it broke on {job!r} with {key!r}")


def test_a_traceback_shows_neither_key_nor_prompt(job: Job, capfd: pytest.CaptureFixture[str]) -> None:
    with logger.catch(message="job_crashed"):
        crash(job)
    told = "".join(capfd.readouterr())
    assert "it broke on" in told
    assert KEY not in told
    assert PROMPT not in told


def test_a_key_in_a_line_would_be_seen(capfd: pytest.CaptureFixture[str]) -> None:
    logger.bind(request_id=KEY).info("leaked")
    assert KEY in "".join(capfd.readouterr())
