"""The form of a log line."""

from collections.abc import Iterator

import orjson
import pytest
from loguru import logger

from shared.telemetry.logging import configure_logging


@pytest.fixture(autouse=True)
def _logs(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Captured before the sink takes its stream."""
    assert capfd
    configure_logging("worker", "INFO", is_debug=False)
    yield
    logger.remove()


def test_a_line_is_json_and_its_event_comes_first(capfd: pytest.CaptureFixture[str]) -> None:
    logger.bind(request_id="a", trace_id="b", count=1, odd=object).warning("something_happened")
    [line] = capfd.readouterr().err.splitlines()
    said = orjson.loads(line)
    assert list(said)[:4] == ["event", "time", "level", "service"]
    assert (said["event"], said["level"], said["service"]) == ("something_happened", "WARNING", "worker")
    assert (said["request_id"], said["trace_id"], said["count"]) == ("a", "b", 1)


def test_what_is_less_severe_than_asked_for_is_not_there(capfd: pytest.CaptureFixture[str]) -> None:
    logger.debug("too_much")
    assert capfd.readouterr().err == ""
