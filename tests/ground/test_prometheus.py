"""A real Prometheus reads a real gateway and a real worker: every query of ours has an answer there."""

from collections.abc import Iterator
from contextlib import ExitStack
from uuid import uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import missing
from tests.docs.metrics_catalogue import figures
from tests.e2e.conftest import cluster_settings
from tests.e2e.test_lifecycle import until
from tests.e2e.test_metrics import health_url
from tests.ground.promql import unknown_names
from tests.ground.test_alert_rules import ALERTS, RULES
from tests.ground.test_dashboard import EXPRESSIONS
from tests.support.availability import Unavailable
from tests.support.prometheus import Prometheus, find_binary, running_prometheus
from tests.support.provider_process import ScriptedProvider
from tests.support.server import AnyKafka, AnyRedis
from tests.support.service_processes import gateway, worker
from tests.support.topics import produce

BODY = {"user_prompt": "x", "temperature": 0}
SETTINGS = {"WORKER_MAX_ATTEMPTS": "2", "WORKER_BREAKER_FAILURES": "4", "LLM_FALLBACK_MODELS": "gpt-4o-mini"}
IN_A_FLOOD = {'sum(llm_requests_in_flight_limit{namespace=~".*"} < 1e9)'}
"""There is no limit at other times."""


class Watched:
    """A cluster of its own, the addresses of its figures, and the server that reads them."""

    def __init__(self, settings: dict[str, str], url: str, worker_url: str, server: Prometheus) -> None:
        self.settings = settings
        self.url = url
        self.worker_url = worker_url
        self.server = server

    def ask(self, prompt: str, **more: object) -> int:
        body = {**BODY, "user_prompt": prompt, **more}
        return httpx.post(f"{self.url}/invoke", json=body, timeout=60).status_code


@pytest.fixture(scope="module")
def watched(
    apache_kafka: AnyKafka,
    any_redis: AnyRedis,
    _provider: ScriptedProvider,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Watched]:
    try:
        find_binary("prometheus")
    except Unavailable as reason:
        missing(str(reason))
    folder = tmp_path_factory.mktemp("watched")
    settings = cluster_settings(apache_kafka, any_redis, _provider) | SETTINGS
    with ExitStack() as stack:
        asked = stack.enter_context(gateway(folder, **settings))
        worker_url = health_url(stack.enter_context(worker(folder, **settings))).replace(
            "0.0.0.0", "127.0.0.1"
        )
        targets = [url.removeprefix("http://") for url in (asked.url, worker_url)]
        server = stack.enter_context(running_prometheus(folder, targets, RULES))
        yield Watched(settings, asked.url, worker_url, server)


async def send_some_of_everything(watched: Watched) -> None:
    """So that every kind of figure moves."""
    prompt, request_id = f"{uuid4()}", str(uuid4())
    assert watched.ask(prompt, request_id=request_id) == 200
    # Answered by the other model, and when its own is known to fail, failed there too
    assert watched.ask(f"{uuid4()} [[status=500 times=2]]", model="gpt-4o") in (200, 503)
    assert watched.ask(prompt, request_id=request_id) == 200  # a replay
    assert watched.ask(prompt) == 200  # from the cache
    assert watched.ask(f"{uuid4()} [[status=429 times=1 retry_after=0.01]]") == 200
    assert watched.ask(f"{uuid4()} [[status=500]]") == 503
    assert watched.ask("") == 400
    brokers, topic = watched.settings["KAFKA_BOOTSTRAP_SERVERS"], watched.settings["KAFKA_REQUEST_TOPIC"]
    await produce(brokers, topic, b"no JSON", key=b"k")


def asked_of_prometheus(expression: str) -> str:
    """As Grafana asks when all namespaces are chosen."""
    filled = {"$namespace": ".*", "$__rate_interval": "1m", "$__range": "5m"}
    for name, value in filled.items():
        expression = expression.replace(name, value)
    return expression


async def test_every_panel_has_data(watched: Watched) -> None:
    # A rate needs a series that was there before it grew, so everything is sent until all has been seen twice
    left = set(map(asked_of_prometheus, EXPRESSIONS))
    assert left >= IN_A_FLOOD

    async def has_all() -> bool:
        await send_some_of_everything(watched)
        left.difference_update([each for each in left if watched.server.query(each)])
        return left <= IN_A_FLOOD

    for _ in range(20):
        if await has_all():
            break
    assert left <= IN_A_FLOOD


def test_a_wrong_query_is_found(watched: Watched) -> None:
    with pytest.raises(AssertionError, match="parse error"):
        watched.server.query("sum(rate(llm_jobs_total[1m])")
    assert watched.server.query("llm_no_such_metric") == []


def test_it_evaluates_every_alert(watched: Watched) -> None:
    def all_are_evaluated() -> bool:
        [group] = watched.server.get("/api/v1/rules")["groups"]
        health = {rule["name"]: rule["health"] for rule in group["rules"]}
        assert "err" not in health.values(), group
        return set(health.values()) == {"ok"} and len(health) == len(ALERTS)

    until(all_are_evaluated)
    targets = watched.server.get("/api/v1/targets")["activeTargets"]
    assert [target["health"] for target in targets] == ["up", "up"]


async def test_the_table_says_where_a_metric_is(watched: Watched) -> None:
    for _ in range(3):  # until a circuit opens
        await send_some_of_everything(watched)
    at_gateway, at_worker = (
        families_at(f"{watched.url}/metrics"),
        families_at(f"{watched.worker_url}/metrics"),
    )
    ours = {figure.name: figure.where for figure in figures()}
    assert {name for name in ours if name in at_gateway and ours[name] == "worker"} == set()
    assert {name for name, where in ours.items() if where in {"gateway", "both"}} <= at_gateway
    assert {name for name, where in ours.items() if where in {"worker", "both"}} <= at_worker
    named = [*EXPRESSIONS, *(alert["expr"] for alert in ALERTS)]
    shown = series_at(f"{watched.url}/metrics") | series_at(f"{watched.worker_url}/metrics")
    assert unknown_names(named, shown) == set()
    assert unknown_names([*named, "llm_jobs_totl > 0"], shown) == {"llm_jobs_totl"}


def families_at(url: str) -> set[str]:
    return {family.name for family in text_string_to_metric_families(httpx.get(url).text)}


def series_at(url: str) -> set[str]:
    families = text_string_to_metric_families(httpx.get(url).text)
    return {sample.name for family in families for sample in family.samples}
