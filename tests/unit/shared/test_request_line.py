"""The line of a request has the form of every other one; times, buckets and histograms are the usual."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest
from ddsketch.mapping import LogarithmicMapping
from loguru import logger
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shared.domain.histogram import RELATIVE_ACCURACY, bucket_of
from shared.domain.timestamps import rfc3339, rfc3339_now
from shared.telemetry.logging import configure_logging, tell_request
from shared.telemetry.quick_counts import QuickCounter, QuickGauge
from shared.telemetry.quick_histogram import QuickHistogram

FACTS = {"trace_id": "t", "request_id": None, "status": 200, "duration_ms": 1.5}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    yield
    configure_logging("tests", "CRITICAL", is_debug=True)
    logger.remove()


def test_the_line_of_a_request_is_what_loguru_would_write(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("gateway", "INFO", is_debug=False)
    tell_request("request_answered", **FACTS)
    logger.bind(**FACTS).info("request_answered")
    ours, theirs = map(orjson.loads, capsys.readouterr().err.splitlines())
    assert list(ours) == list(theirs)
    between = datetime.fromisoformat(theirs.pop("time")) - datetime.fromisoformat(ours.pop("time"))
    assert ours == theirs
    assert timedelta(0) <= between < timedelta(minutes=1)


def test_a_higher_level_silences_it(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("gateway", "WARNING", is_debug=False)
    tell_request("request_answered", **FACTS)
    assert capsys.readouterr().err == ""


def test_on_a_terminal_it_is_loguru_s(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("gateway", "INFO", is_debug=True)
    tell_request("request_answered", **FACTS)
    told = capsys.readouterr().err
    assert "'status': 200" in told
    assert not told.startswith("{")


def test_a_time_is_written_to_the_millisecond_below_in_utc() -> None:
    instant = datetime(2026, 1, 2, 3, 4, 5, 678999, tzinfo=timezone(timedelta(hours=2)))
    assert rfc3339(instant) == rfc3339(instant.astimezone(UTC)) == "2026-01-02T01:04:05.678Z"
    before, now, after = rfc3339(datetime.now(UTC)), rfc3339_now(), rfc3339(datetime.now(UTC))
    assert before <= now <= after


def test_a_bucket_is_the_mapping_s_own() -> None:
    mapping = LogarithmicMapping(RELATIVE_ACCURACY)
    durations = [0.001 * 1.37**power for power in range(60)]
    assert [bucket_of(ms) for ms in durations] == [mapping.key(ms) for ms in durations]
    assert bucket_of(0) == bucket_of(-1) == mapping.key(0.001)


def test_a_quick_histogram_counts_as_the_other_does() -> None:
    registries = CollectorRegistry(), CollectorRegistry()
    quick = QuickHistogram("h", "h", ("l",), buckets=(1, 2, 4), registry=registries[0])
    usual = Histogram("h", "h", ("l",), buckets=(1, 2, 4), registry=registries[1])
    for amount in (0, 1, 1.5, 2, 4, 5, 100):
        quick.labels("x").observe(amount)
        usual.labels("x").observe(amount)
    ours, theirs = map(samples, registries)
    assert ours == theirs


def test_quick_counts_are_those_of_the_others() -> None:
    registries = CollectorRegistry(), CollectorRegistry()
    kinds = ((QuickCounter, QuickGauge), (Counter, Gauge))
    for registry, (counter_kind, gauge_kind) in zip(registries, kinds, strict=True):
        counter = counter_kind("c", "c", ("l",), registry=registry)
        gauge = gauge_kind("g", "g", registry=registry)
        counter.labels("x").inc()
        counter.labels("x").inc(2.5)
        with pytest.raises(ValueError, match="non-negative"):
            counter.labels("x").inc(-1)
        gauge.inc(3)
        gauge.dec()
    ours, theirs = map(samples, registries)
    assert ours == theirs
    assert ("c_total", {"l": "x"}, 3.5) in ours


def samples(registry: CollectorRegistry) -> list[tuple[object, ...]]:
    return [
        sample[:3] for family in registry.collect() for sample in family.samples if "created" not in sample[0]
    ]
