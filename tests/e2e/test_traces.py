"""One trace from the HTTP request to each provider attempt, told to a collector."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import httpx
import orjson
import pytest

from tests.e2e.conftest import Cluster, cluster_settings, provider_settings
from tests.e2e.test_lifecycle import until
from tests.support.otlp_collector import OtlpCollector, ToldSpan
from tests.support.provider_process import ScriptedProvider
from tests.support.server import AnyKafka, AnyRedis
from tests.support.service_processes import Service, gateway, logged, one_process, worker
from tests.support.topics import produce

TWO_ATTEMPTS = ["SERVER", "PRODUCER", "CONSUMER", "CLIENT", "CLIENT"]


@pytest.fixture(scope="module")
def collector() -> Iterator[OtlpCollector]:
    with OtlpCollector() as collector:
        yield collector


@pytest.fixture(scope="module")
def traced_cluster(
    apache_kafka: AnyKafka,
    any_redis: AnyRedis,
    _provider: ScriptedProvider,
    collector: OtlpCollector,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("traced")
    settings = cluster_settings(apache_kafka, any_redis, _provider) | collector.settings
    with ExitStack() as stack:
        serving = stack.enter_context(gateway(folder, **settings))
        working = stack.enter_context(worker(folder, **settings))
        yield Cluster(settings, [serving], working)


@pytest.fixture(scope="module")
def traced_process(
    _provider: ScriptedProvider, collector: OtlpCollector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    settings = {"REDIS_ENABLED": "false", **provider_settings(_provider), **collector.settings}
    with one_process(tmp_path_factory.mktemp("traced"), **settings) as service:
        yield service


def ask(url: str, prompt: str, headers: dict[str, str] | None = None) -> tuple[str, httpx.Response]:
    request_id = str(uuid4())
    body = {"user_prompt": f"{request_id} {prompt}", "request_id": request_id}
    return request_id, httpx.post(f"{url}/invoke", json=body, headers=headers, timeout=60)


def told_of(collector: OtlpCollector, request_id: str, count: int) -> list[ToldSpan]:
    """The trace of a request, when it has `count` spans."""

    def of(spans: list[ToldSpan]) -> list[ToldSpan]:
        traces = {span.trace_id for span in spans if span.attributes.get("request_id") == request_id}
        return [span for span in spans if span.trace_id in traces]

    return of(collector.wait_for(lambda spans: len(of(spans)) >= count))


def assert_each_within_the_one_before(spans: list[ToldSpan], *, parent_id: str = "") -> None:
    """Server, producer, consumer; every attempt within the consumer. One trace, one request."""
    line, attempts = spans[:-2], spans[-2:]
    expected = [parent_id, *(span.span_id for span in line), line[-1].span_id]
    assert [span.parent_id for span in [*line, *attempts]] == expected
    assert len({span.trace_id for span in spans}) == 1
    assert len({span.attributes["request_id"] for span in spans}) == 1


@pytest.mark.parametrize("fault", ["429 retry_after=0.05", "500"])
def test_a_request_is_one_trace_through_kafka_to_each_attempt(
    traced_cluster: Cluster, collector: OtlpCollector, fault: str
) -> None:
    # Given a provider that fails once
    # When a request is answered
    request_id, response = ask(traced_cluster.url, f"[[status={fault} times=1]]")
    assert response.status_code == 200
    # Then its trace goes over both processes, each span within the one that led to it
    spans = told_of(collector, request_id, 5)
    assert [span.kind for span in spans] == TWO_ATTEMPTS
    assert_each_within_the_one_before(spans)
    assert [span.service for span in spans] == ["llm-microservice-gateway"] * 2 + [
        "llm-microservice-worker"
    ] * 3
    server, producer, consumer, failed, answered = spans
    topic = traced_cluster.settings["KAFKA_REQUEST_TOPIC"]
    # And each says what OpenTelemetry's conventions ask of it
    assert server.name == "POST /invoke"
    assert server.attributes["http.route"] == "/invoke"
    assert server.attributes["http.request.method"] == "POST"
    assert server.attributes["http.response.status_code"] == 200
    assert producer.name == f"send {topic}"
    assert consumer.name == f"process {topic}"
    for span in (producer, consumer):
        assert span.attributes["messaging.system"] == "kafka"
        assert span.attributes["messaging.destination.name"] == topic
        assert span.attributes["messaging.message.id"] == request_id
    assert consumer.attributes["messaging.kafka.offset"] >= 0
    assert consumer.attributes["llm.job.status"] == "succeeded"
    code = "UPSTREAM_RATE_LIMITED" if fault.startswith("429") else "UPSTREAM_UNAVAILABLE"
    assert (failed.is_error, failed.attributes["error.type"]) == (True, code)
    assert not any(span.is_error for span in (server, producer, consumer, answered))
    usage = response.json()["usage"]
    assert {
        name: value for name, value in answered.attributes.items() if name.startswith(("gen_ai.", "llm."))
    } == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.request.temperature": 0.7,
        "gen_ai.request.max_tokens": 1000,
        "gen_ai.response.model": response.json()["model"],
        "gen_ai.response.id": answered.attributes["gen_ai.response.id"],
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": usage["prompt_tokens"],
        "gen_ai.usage.output_tokens": usage["completion_tokens"],
        "llm.attempt": 2,
    }


def test_in_one_process_it_is_the_same_trace(traced_process: Service, collector: OtlpCollector) -> None:
    request_id, response = ask(traced_process.url, "[[status=500 times=1]]")
    assert response.status_code == 200
    spans = told_of(collector, request_id, 5)
    assert [span.kind for span in spans] == TWO_ATTEMPTS
    assert_each_within_the_one_before(spans)


def test_a_callers_trace_goes_on(traced_cluster: Cluster, collector: OtlpCollector) -> None:
    trace_id, parent_id = uuid4().hex, uuid4().hex[:16]
    request_id, _ = ask(
        traced_cluster.url, "[[status=500 times=1]]", {"traceparent": f"00-{trace_id}-{parent_id}-01"}
    )
    spans = told_of(collector, request_id, 5)
    assert spans[0].trace_id == trace_id
    assert_each_within_the_one_before(spans, parent_id=parent_id)


@pytest.mark.parametrize("is_carried", [True, False])
async def test_a_direct_producers_trace_goes_on_or_a_new_one_begins(
    traced_cluster: Cluster, collector: OtlpCollector, is_carried: bool
) -> None:
    request_id, trace_id, parent_id = str(uuid4()), uuid4().hex, uuid4().hex[:16]
    headers = [("traceparent", f"00-{trace_id}-{parent_id}-01".encode())] if is_carried else []
    value = orjson.dumps({"request_id": request_id, "user_prompt": f"{request_id} [[status=500 times=1]]"})
    brokers, topic = (
        traced_cluster.settings[f"KAFKA_{name}"] for name in ("BOOTSTRAP_SERVERS", "REQUEST_TOPIC")
    )
    await produce(brokers, topic, value, headers=headers)
    spans = told_of(collector, request_id, 3)
    assert [span.kind for span in spans] == ["CONSUMER", "CLIENT", "CLIENT"]
    assert (spans[0].trace_id == trace_id) is is_carried
    assert_each_within_the_one_before(spans, parent_id=parent_id if is_carried else "")


async def test_a_record_that_is_a_dead_letter_fails_its_span(
    traced_cluster: Cluster, collector: OtlpCollector
) -> None:
    trace_id = uuid4().hex
    brokers, topic = (
        traced_cluster.settings[f"KAFKA_{name}"] for name in ("BOOTSTRAP_SERVERS", "REQUEST_TOPIC")
    )
    await produce(brokers, topic, b"{", headers=[("traceparent", f"00-{trace_id}-{'1' * 16}-01".encode())])
    collector.wait_for(lambda _: bool(collector.trace(trace_id)))
    (consumer,) = collector.trace(trace_id)
    assert (consumer.kind, consumer.is_error, consumer.attributes["error.type"]) == (
        "CONSUMER",
        True,
        "INVALID_JSON",
    )


def test_errors_and_log_lines_name_the_trace(traced_cluster: Cluster, collector: OtlpCollector) -> None:
    # When one request fails at the provider, and one is refused
    request_id, response = ask(traced_cluster.url, "[[status=400]]")
    refused = httpx.post(f"{traced_cluster.url}/invoke", json={})
    # Then error bodies and log lines name the traces, and the failed spans say why
    spans = told_of(collector, request_id, 4)
    trace_ids = [answer.json()["error"]["trace_id"] for answer in (response, refused)]
    assert trace_ids[0] == spans[0].trace_id
    assert [(span.kind, span.is_error) for span in spans[2:]] == [("CONSUMER", True), ("CLIENT", True)]
    collector.wait_for(lambda _: bool(collector.trace(trace_ids[1])))
    (server,) = collector.trace(trace_ids[1])
    assert (server.attributes["http.response.status_code"], server.is_error) == (400, False)
    serving = traced_cluster.gateways[0].child
    assert {line["trace_id"] for line in logged(serving, "request_answered")} >= set(trace_ids)


async def test_a_workers_log_line_names_the_trace(traced_cluster: Cluster) -> None:
    trace_id = uuid4().hex
    brokers, topic = (
        traced_cluster.settings[f"KAFKA_{name}"] for name in ("BOOTSTRAP_SERVERS", "REQUEST_TOPIC")
    )
    await produce(brokers, topic, b"[", headers=[("traceparent", f"00-{trace_id}-{'1' * 16}-01".encode())])
    until(
        lambda: (
            trace_id
            in {line.get("trace_id") for line in logged(traced_cluster.worker, "record_dead_lettered")}
        )
    )


def test_what_the_caller_does_not_sample_is_not_told(
    traced_process: Service, collector: OtlpCollector
) -> None:
    unsampled, _ = ask(traced_process.url, "", {"traceparent": f"00-{uuid4().hex}-{'1' * 16}-00"})
    sampled, _ = ask(traced_process.url, "")
    told_of(collector, sampled, 4)
    assert unsampled not in {span.attributes.get("request_id") for span in collector.spans()}


def test_a_sampler_is_chosen_by_its_standard_variable(
    provider: ScriptedProvider, collector: OtlpCollector, tmp_path: Path
) -> None:
    settings = {**collector.settings, **provider_settings(provider), "OTEL_TRACES_SAMPLER": "always_off"}
    with one_process(tmp_path, REDIS_ENABLED="false", **settings) as service:
        request_id, response = ask(service.url, "")
        assert response.status_code == 200
        service.child.terminate()  # what was to be told would be told now
    assert request_id not in {span.attributes.get("request_id") for span in collector.spans()}


def test_what_is_left_is_told_when_a_process_ends(provider: ScriptedProvider, tmp_path: Path) -> None:
    # Given batches that would take a minute
    with OtlpCollector() as collector:
        settings = {**provider_settings(provider), **collector.settings, "OTEL_BSP_SCHEDULE_DELAY": "60000"}
        with one_process(tmp_path, REDIS_ENABLED="false", **settings) as service:
            request_id, _ = ask(service.url, "")
            assert collector.spans() == []
            # When the process is told to end
            assert service.child.terminate() == 0
        # Then they are there
        assert len(told_of(collector, request_id, 4)) == 4


def test_a_collector_that_is_away_is_said_once_and_costs_no_job(
    provider: ScriptedProvider, tmp_path: Path
) -> None:
    # Given a collector that is not there
    collector = OtlpCollector()
    settings = {**provider_settings(provider), **collector.settings, "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    with one_process(tmp_path, REDIS_ENABLED="false", **settings) as service:
        # When jobs come, while one batch after the other is given up
        assert ask(service.url, "")[1].status_code == 200
        until(lambda: bool(logged(service.child, "traces_not_taken")))
        answers = [ask(service.url, "")[1] for _ in range(5)]
        assert {answer.status_code for answer in answers} == {200}
        # And it is there at last
        with collector:
            until(lambda: ask(service.url, "")[1].is_success and bool(collector.spans()))
            until(lambda: bool(logged(service.child, "traces_taken_again")))
        # Then that was said once, in our own words
        assert len(logged(service.child, "traces_not_taken")) == 1
        assert service.child.terminate() == 0
        lines = [line for line in service.child.log().splitlines() if '"level"' not in line]
        assert not [
            line for line in lines if "opentelemetry" in line or "Traceback" in line or "urllib3" in line
        ]
