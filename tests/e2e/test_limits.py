"""Limits over three gateways and two workers, on HTTP and on the topic; what the killed hold ends in time."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import httpx
import orjson
import pytest
from aiokafka import AIOKafkaProducer

from tests.e2e.conftest import cluster_settings
from tests.e2e.test_lifecycle import refuse_to_start, until
from tests.support.provider_process import ScriptedProvider
from tests.support.redis_process import RedisServer
from tests.support.redis_servers import any_binary
from tests.support.server import AnyKafka
from tests.support.service_processes import Service, gateway, one_process, worker


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """Nobody else's jobs are counted there."""
    with RedisServer(any_binary()) as redis:
        yield redis


def submit(service: Service, prompt: str = "x", **body: object) -> httpx.Response:
    return httpx.post(f"{service.url}/submit", json={"user_prompt": prompt, **body}, timeout=60)


def is_admitted(response: httpx.Response) -> bool:
    assert response.status_code in (200, 202, 429), response.text
    return response.status_code != 429


async def produce(settings: dict[str, str], request_id: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings["KAFKA_BOOTSTRAP_SERVERS"])
    async with producer:
        record = orjson.dumps({"request_id": request_id, "user_prompt": "from the topic"})
        await producer.send_and_wait(settings["KAFKA_REQUEST_TOPIC"], record, key=request_id.encode())


@pytest.mark.campaign
def test_a_hundred_at_once_over_three_gateways_are_ten(
    apache_kafka: AnyKafka, own_redis: RedisServer, provider: ScriptedProvider, tmp_path: Path
) -> None:
    settings = cluster_settings(apache_kafka, own_redis, provider)
    settings["LLM_LIMIT_REQUESTS_PER_MINUTE"] = "10"
    with ExitStack() as stack:
        gateways = [stack.enter_context(gateway(tmp_path, f"gateway-{n}", **settings)) for n in range(3)]
        for n in range(2):
            stack.enter_context(worker(tmp_path, f"worker-{n}", **settings))
        threads = stack.enter_context(ThreadPoolExecutor(50))
        # When a hundred come at once, then ten are admitted
        answers = list(threads.map(lambda n: submit(gateways[n % 3], f"{n}"), range(100)))
        assert Counter(map(is_admitted, answers)) == {True: 10, False: 90}
        # And the others are told when to come back, and what there is
        refused = next(answer for answer in answers if answer.status_code == 429)
        error = refused.json()["error"]
        assert (error["error_code"], error["retryable"]) == ("LIMIT_EXCEEDED", True)
        assert 0 < error["details"]["retry_after_seconds"] <= 60
        assert int(refused.headers["retry-after"]) >= error["details"]["retry_after_seconds"]
        assert refused.headers["ratelimit-policy"] == '"requests";q=10;w=60'
        assert refused.headers["ratelimit"].startswith('"requests";r=0;t=')
        assert httpx.get(f"{gateways[0].url}/result/{refused.json()['request_id']}").status_code == 404
        # And a direct producer, whom no gateway sees, is refused by the worker, without a call
        request_id = str(uuid4())
        asyncio.run(produce(settings, request_id))
        url = f"{gateways[0].url}/result/{request_id}"
        until(lambda: httpx.get(url, params={"wait": "5"}, timeout=60).json().get("status") == "failed")
        assert httpx.get(url).json()["error"]["error_code"] == "LIMIT_EXCEEDED"
        # And every admitted job is answered once
        for answer in answers:
            if is_admitted(answer):
                read = f"{gateways[1].url}/result/{answer.json()['request_id']}?wait=30"
                assert httpx.get(read, timeout=60).json()["success"]
        assert provider.count() == 10


@pytest.mark.campaign
def test_the_holds_of_the_killed_end_by_themselves(
    apache_kafka: AnyKafka, own_redis: RedisServer, provider: ScriptedProvider, tmp_path: Path
) -> None:
    settings = cluster_settings(apache_kafka, own_redis, provider)
    settings["LLM_LIMIT_JOBS_IN_FLIGHT"] = "3"
    with gateway(tmp_path, "staying", **settings) as staying:
        # Given as many jobs as are allowed, and their gateway and their worker killed during the calls
        with gateway(tmp_path, "dying", **settings) as dying, worker(tmp_path, **settings) as running:
            for _ in range(3):
                assert is_admitted(submit(dying, f"{uuid4()} [[latency_ms=60000]]", deadline_seconds=3))
            until(lambda: provider.count() == 3)
            dying.child.kill()
            running.kill()
        # Then nothing more is allowed
        refused = submit(staying)
        assert not is_admitted(refused)
        assert refused.headers["ratelimit"] == '"jobs";r=0'
        # And when their deadlines have passed, everything is, at another gateway
        for _ in range(3):
            until(lambda: is_admitted(submit(staying)), 40)
        assert not is_admitted(submit(staying))
        # And a worker that finishes them gives the holds back at once
        with worker(tmp_path, "next", **settings):
            until(lambda: is_admitted(submit(staying)), 60)


def test_dollars_are_counted_by_the_price_and_told(
    own_redis: RedisServer, provider: ScriptedProvider, tmp_path: Path
) -> None:
    settings = {
        "REDIS_URL": own_redis.url,
        "OPENAI_BASE_URL": provider.base_url,
        "LLM_SUPPORTED_MODELS": "*",
        "LLM_DEFAULT_MAX_TOKENS": "10",
        "LLM_PRICES": '{"mine": {"input": 100000, "output": 200000}}',
        "LLM_LIMIT_DOLLARS_PER_DAY": "5",
    }
    with one_process(tmp_path, **settings) as service:
        # A job says what it cost; a model without a price says null
        answer = httpx.post(f"{service.url}/invoke", json={"user_prompt": "a b", "model": "mine"}, timeout=60)
        usage = answer.json()["usage"]
        cost = usage["prompt_tokens"] * 0.1 + usage["completion_tokens"] * 0.2
        assert answer.json()["cost_usd"] == pytest.approx(cost)
        assert answer.headers["ratelimit-policy"] == '"dollars";q=5000000;qu="micro-dollars";w=86400'
        free = httpx.post(f"{service.url}/invoke", json={"user_prompt": "a b", "model": "other"}, timeout=60)
        assert free.json()["cost_usd"] is None
        left = int(free.headers["ratelimit"].split("r=")[1].split(";")[0])
        assert left == pytest.approx((5 - cost) * 1e6, abs=1)
        # One that could cost more than a day allows is refused for good
        body = {"user_prompt": "a b", "model": "mine", "max_tokens": 1000}
        large = httpx.post(f"{service.url}/invoke", json=body, timeout=60)
        assert (large.status_code, large.json()["error"]["error_code"]) == (400, "ABOVE_LIMIT")
        # And when the dollars are spent, the next one waits for midnight
        asked = {"user_prompt": "a b", "model": "mine"}
        refused = next(
            late
            for _ in range(50)
            if (late := httpx.post(f"{service.url}/invoke", json=asked, timeout=60)).status_code != 200
        )
        assert refused.json()["error"]["details"]["limit"] == "dollars_per_day"
        assert (refused.status_code, int(refused.headers["retry-after"]) >= 1) == (429, True)
    events = [orjson.loads(line) for line in (tmp_path / "one-process.jsonl").read_text().splitlines()]
    assert {event["event"] for event in events if event.get("cost_usd") == answer.json()["cost_usd"]} == {
        "provider_called",
        "job_finished",
    }


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"LLM_LIMIT_REQUESTS_PER_MINUTE": "-1"}, ["LLM_LIMIT_REQUESTS_PER_MINUTE", "-1", "greater than"]),
        ({"LLM_LIMITS": '{"a": {"request": 1}}'}, ["LLM_LIMITS", "a.request", "requests_per_minute"]),
        ({"LLM_LIMITS": "{"}, ["LLM_LIMITS", "allowed"]),
        ({"LLM_PRICES": '{"m": {"input": -1, "output": 1}}'}, ["LLM_PRICES", "m.input", "dollars"]),
    ],
)
def test_a_wrong_limit_stops_the_start_with_one_line(settings: dict[str, str], names: list[str]) -> None:
    complaint = refuse_to_start("main.py", **settings)
    assert len(complaint.splitlines()) == 1
    assert all(name in complaint for name in names), complaint
