"""Spans: whose they are, how they fail, when they are not told, and that nothing of it is there while off."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from shared.settings import ServiceSettings, load_settings
from shared.telemetry.tracing import tracing_to
from tests.support.service_processes import ROOT, clean_environment
from tests.support.told_spans import ToldSpans, attributes_of, told_spans

URL = "http://127.0.0.1:9"
UNSAMPLED = f"00-{'a' * 32}-{'1' * 16}-00"
_BLOCK = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[:2] in (["opentelemetry", "sdk"], ["opentelemetry", "exporter"]):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
"""


@pytest.fixture
def told() -> Iterator[ToldSpans]:
    with told_spans() as told:
        yield told


def test_a_span_within_another_is_its_child(told: ToldSpans) -> None:
    with (
        told.tracing.continued(None, "outer", "server", {}) as outer,
        told.tracing.span("inner", "client", {}),
    ):
        assert told.tracing.current is not outer
    inner_span, outer_span = told.spans
    assert inner_span.parent == outer_span.context
    assert told.tracing.current is None


def test_a_span_is_named_as_the_next_one_finds_it(told: ToldSpans) -> None:
    with told.tracing.continued(None, "first", "producer", {}) as first:
        carried = first.traceparent
    with told.tracing.continued(carried, "second", "consumer", {}):
        pass
    first_span, second_span = told.spans
    assert second_span.parent is not None
    assert second_span.context.trace_id == first_span.context.trace_id
    assert second_span.parent.span_id == first_span.context.span_id


@pytest.mark.parametrize("carried", [None, "", "nonsense", f"00-{'0' * 32}-{'1' * 16}-01", "\u00ff" * 55])
def test_what_is_no_traceparent_begins_a_new_trace(told: ToldSpans, carried: str | None) -> None:
    with told.tracing.continued(carried, "alone", "server", {}):
        pass
    (span,) = told.spans
    assert span.parent is None


def test_a_fault_is_told_by_its_type_and_never_by_its_text(told: ToldSpans) -> None:
    with pytest.raises(ValueError, match="secret"), told.tracing.continued(None, "failing", "server", {}):
        raise ValueError("a secret")
    (span,) = told.spans
    assert attributes_of(span) == {"error.type": "ValueError"}
    assert not span.status.is_ok
    assert not span.events
    assert "secret" not in span.to_json()


def test_the_first_word_on_a_failure_counts(told: ToldSpans) -> None:
    with told.tracing.continued(None, "failing", "client", {}) as span:
        span.fail("UPSTREAM_UNAVAILABLE")
        span.fail("another")
    assert attributes_of(told.spans[0]) == {"error.type": "UPSTREAM_UNAVAILABLE"}


def test_what_nothing_came_of_is_not_told_unless_something_was_within(told: ToldSpans) -> None:
    with told.tracing.continued(None, "nothing", "consumer", {}) as nothing:
        nothing.forget()
    with told.tracing.continued(None, "something", "consumer", {}) as something:
        with told.tracing.span("within", "client", {}):
            pass
        something.forget()
    assert [span.name for span in told.spans] == ["within", "something"]


def test_an_attribute_without_a_value_is_left_out(told: ToldSpans) -> None:
    with told.tracing.continued(None, "short", "client", {"a": None, "b": 1}) as span:
        span.note({"c": None, "d": ["x"]})
    assert attributes_of(told.spans[0]) == {"b": 1, "d": ("x",)}


def test_log_lines_within_a_span_name_its_trace() -> None:
    lines: list[dict[str, Any]] = []
    sink = logger.add(lambda message: lines.append(message.record["extra"]), level="INFO")
    try:
        with tracing_to(URL, "test", "1") as tracing:
            assert tracing is not None
            logger.info("before")
            with tracing.continued(UNSAMPLED, "request", "server", {}):
                logger.info("within")
                logger.bind(trace_id="its own").info("bound")
            logger.info("after")
    finally:
        logger.remove(sink)
    assert [line.get("trace_id") for line in lines] == [None, "a" * 32, "its own", None]


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, None),
        ({"otel_exporter_otlp_endpoint": "http://c:4318"}, "http://c:4318/v1/traces"),
        ({"otel_exporter_otlp_endpoint": "http://c:4318/base/"}, "http://c:4318/base/v1/traces"),
        ({"otel_exporter_otlp_traces_endpoint": "http://t/x"}, "http://t/x"),
        (
            {
                "otel_exporter_otlp_endpoint": "http://c:4318",
                "otel_exporter_otlp_traces_endpoint": "http://t/x",
            },
            "http://t/x",
        ),
        ({"otel_exporter_otlp_endpoint": "http://c:4318", "otel_sdk_disabled": "true"}, None),
    ],
)
def test_where_traces_go(settings: dict[str, str], url: str | None) -> None:
    assert load_settings(ServiceSettings, _env_file=None, **settings).traces_url() == url


@pytest.mark.parametrize("program", [["-m", "gateway"], ["-m", "worker"], ["main.py"]])
def test_without_the_extra_a_start_with_traces_says_so_in_one_line(
    program: list[str], tmp_path: Path
) -> None:
    # Given an installation without the extra
    (tmp_path / "sitecustomize.py").write_text(_BLOCK)
    # When a program is to tell traces
    refused = checked(program, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="http://user:pass@c:4318")
    # Then it says what is missing, in one line, and without traces there is nothing to say
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert line.startswith("configuration error: OTEL_EXPORTER_OTLP_ENDPOINT='http://***@c:4318': ")
    assert "the extra `otel`" in line
    assert checked(program, tmp_path).returncode == 0


@pytest.mark.parametrize("program", [["-m", "gateway"], ["-m", "worker"], ["main.py"]])
def test_check_shows_where_traces_go(program: list[str], tmp_path: Path) -> None:
    shown = checked(program, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="http://user:pass@c:4318")
    assert "OTEL_EXPORTER_OTLP_ENDPOINT=http://***@c:4318" in shown.stdout.splitlines()


def checked(program: list[str], folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    env = clean_environment(KAFKA_ENABLED="true", OPENAI_API_KEY="sk-x", **settings)
    env["PYTHONPATH"] = os.pathsep.join([str(folder), str(ROOT)])
    return subprocess.run(
        [sys.executable, *program, "--check"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
