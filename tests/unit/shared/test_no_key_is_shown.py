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


@pytest.mark.parametrize("secret", [KEY, "llmgw_4d12313e7f6a5b4c"])
@pytest.mark.parametrize("how", ["bound", "nested", "in a text", "as the event", "in an exception"])
def test_a_key_that_is_logged_by_mistake_is_cut_off(
    secret: str, how: str, capfd: pytest.CaptureFixture[str]
) -> None:
    match how:
        case "bound":
            logger.bind(key=secret).info("leaked")
        case "nested":
            logger.bind(request={"headers": [("authorization", f"Bearer {secret}")]}).info("leaked")
        case "in a text":
            logger.bind(fault=f'refused: "{secret}", not a task-oriented key').info("leaked")
        case "as the event":
            logger.info(f"leaked {secret}")
        case _:
            with logger.catch(message="leaked"):
                raise RuntimeError(f"leaked {secret}")
    told = "".join(capfd.readouterr())
    assert secret not in told
    assert f"{secret[:2]}" in told
    assert "..." in told
    assert ("task-oriented" in told) == (how == "in a text")
