"""The same question under another id: one call, for as long as its answer is kept, and while it is made."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import httpx
import openai
import pytest

from tests.e2e.conftest import Cluster, cluster_settings
from tests.e2e.test_lifecycle import until
from tests.support.clients import client, settings_for
from tests.support.event_stream import events_of, text_of
from tests.support.provider_process import ScriptedProvider
from tests.support.server import AnyKafka, AnyRedis
from tests.support.service_processes import clean_environment, gateway, worker


def ask(http: httpx.Client, prompt: str, **body: Any) -> dict[str, Any]:
    answer = http.post("/invoke", json={"user_prompt": prompt, "temperature": 0, **body})
    told: dict[str, Any] = answer.json()
    return told


@pytest.fixture
def prompt() -> str:
    return f"cached? {uuid4()}"


def test_an_equal_question_is_answered_without_a_call(
    http: httpx.Client, provider: ScriptedProvider, prompt: str
) -> None:
    first, second = ask(http, prompt), ask(http, prompt, metadata={"team": "a"})
    # Then the second answer is its own, marked and not billed
    assert (first["cached"], first["performance"]["cache_hit"]) == (False, False)
    assert (second["cached"], second["performance"]["cache_hit"]) == (True, True)
    assert second["request_id"] != first["request_id"]
    assert (second["data"], second["usage"], second["metadata"]) == (
        first["data"],
        first["usage"],
        {"team": "a"},
    )
    assert (second["cost_usd"], second["performance"]["attempts"]) == (0.0, 0)
    assert len(provider.calls_of(prompt)) == 1
    # And it is stored under its id like any other
    stored = http.get(f"/result/{second['request_id']}").json()
    assert (stored["cached"], stored["data"]) == (True, first["data"])


def test_only_what_is_deterministic_is_kept_unless_the_operator_wants_more(
    http: httpx.Client, provider: ScriptedProvider, prompt: str
) -> None:
    for _ in range(2):
        assert ask(http, prompt, temperature=0.1)["cached"] is False
    assert len(provider.calls_of(prompt)) == 2


def test_a_request_says_what_it_wants_of_the_cache(
    http: httpx.Client, provider: ScriptedProvider, prompt: str
) -> None:
    # Only: nothing is kept yet, and the id stays free
    request_id = str(uuid4())
    missed = ask(http, prompt, cache={"mode": "only"}, request_id=request_id)
    assert missed["error"]["error_code"] == "CACHE_MISS"
    assert http.get(f"/result/{request_id}").status_code == 404
    # Bypass: neither read nor kept
    assert ask(http, prompt, cache={"mode": "bypass"})["cached"] is False
    assert ask(http, prompt, cache={"mode": "only"})["success"] is False
    # Refresh: a call, whose answer is kept
    assert ask(http, prompt, cache={"mode": "refresh"})["cached"] is False
    assert ask(http, prompt, cache={"mode": "only"})["cached"] is True
    assert ask(http, prompt)["cached"] is True
    assert ask(http, prompt, cache={"mode": "refresh"})["cached"] is False
    assert ask(http, prompt, cache={"mode": "bypass"})["cached"] is False
    assert len(provider.calls_of(prompt)) == 4
    # The header says bypass
    for words in ("no-cache", "no-store", "max-age=0, No-Cache"):
        answer = http.post(
            "/invoke", json={"user_prompt": prompt, "temperature": 0}, headers={"Cache-Control": words}
        )
        assert answer.json()["cached"] is False


def test_an_answer_is_kept_as_long_as_its_request_said(http: httpx.Client, prompt: str) -> None:
    ask(http, prompt, cache={"ttl_seconds": 1})
    assert ask(http, prompt, cache={"mode": "only"})["cached"] is True
    until(lambda: not ask(http, prompt, cache={"mode": "only"})["success"])


@pytest.mark.parametrize("words", ["finish=length", "finish=content_filter", "status=400"])
def test_what_is_no_whole_success_is_not_kept(
    http: httpx.Client, provider: ScriptedProvider, prompt: str, words: str
) -> None:
    asked = f"{prompt} [[{words}]]"
    for _ in range(2):
        ask(http, asked)
    assert len(provider.calls_of(asked)) == 2


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_kept_answer_is_streamed_to_who_wants_a_stream(
    http: httpx.Client, provider: ScriptedProvider, prompt: str, stream: bool
) -> None:
    first = http.post("/invoke", json={"user_prompt": prompt, "temperature": 0, "stream": stream})
    assert first.status_code == 200
    with http.stream(
        "POST", "/invoke", json={"user_prompt": prompt, "temperature": 0, "stream": True}
    ) as response:
        *deltas, result = events_of(response.iter_lines())
    assert text_of(deltas) == result.data["data"]["response"] == f"echo: {prompt}"
    assert result.data["cached"] is True
    assert len(provider.calls_of(prompt)) == 1


def test_openais_clients_see_a_hit_in_a_header(
    service_url: str, provider: ScriptedProvider, prompt: str
) -> None:
    question: Any = {
        "model": "gpt-4o-mini",
        "temperature": 0,
        "messages": [{"role": "user", "content": prompt}],
    }
    with openai.OpenAI(api_key="unused", base_url=f"{service_url}/v1", max_retries=0) as each:
        answers = [each.chat.completions.with_raw_response.create(**question) for _ in range(2)]
        assert [answer.headers.get("x-llm-cache") for answer in answers] == [None, "hit"]
        assert answers[0].parse() == answers[1].parse()
        chunks = list(each.chat.completions.create(**question, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == f"echo: {prompt}"
    assert len(provider.calls_of(prompt)) == 1


def test_equal_calls_under_way_are_one(http: httpx.Client, provider: ScriptedProvider, prompt: str) -> None:
    asked = f"{prompt} [[latency_ms=500]]"
    ids = [str(uuid4()) for _ in range(50)]
    for request_id in ids:
        body = {"user_prompt": asked, "temperature": 0, "request_id": request_id}
        assert http.post("/submit", json=body).status_code in (200, 202)
    answers = [http.get(f"/result/{request_id}?wait=30").json() for request_id in ids]
    assert {answer["data"]["response"] for answer in answers} == {f"echo: {asked}"}
    assert [answer["cached"] for answer in answers].count(False) == 1
    assert len(provider.calls_of(asked)) == 1


def test_who_waits_for_a_call_that_fails_has_its_failure(
    http: httpx.Client, provider: ScriptedProvider, prompt: str
) -> None:
    asked = f"{prompt} [[latency_ms=500 status=400]]"
    ids = [str(uuid4()) for _ in range(10)]
    for request_id in ids:
        http.post("/submit", json={"user_prompt": asked, "temperature": 0, "request_id": request_id})
    answers = [http.get(f"/result/{request_id}?wait=30").json() for request_id in ids]
    assert {answer["error"]["error_code"] for answer in answers} == {"UPSTREAM_REJECTED"}
    assert len(provider.calls_of(asked)) == 1


def test_who_cancels_the_leader_cancels_nobody_else(
    http: httpx.Client, provider: ScriptedProvider, prompt: str
) -> None:
    asked = f"{prompt} [[latency_ms=3000]]"
    leader, follower = str(uuid4()), str(uuid4())
    http.post("/submit", json={"user_prompt": asked, "temperature": 0, "request_id": leader})
    until(lambda: len(provider.calls_of(asked)) == 1)
    http.post("/submit", json={"user_prompt": asked, "temperature": 0, "request_id": follower})
    assert http.post(f"/result/{leader}/cancel").status_code == 202
    assert http.get(f"/result/{follower}?wait=30").json()["data"]["response"] == f"echo: {asked}"
    assert http.get(f"/result/{leader}").json()["status"] == "cancelled"
    assert len(provider.calls_of(asked)) == 2


def test_no_client_gets_anothers_answer(
    apache_kafka: AnyKafka, any_redis: AnyRedis, provider: ScriptedProvider, tmp_path: Path, prompt: str
) -> None:
    anna, bert = client("anna"), client("bert")
    settings = cluster_settings(apache_kafka, any_redis, provider) | settings_for(anna, bert)
    with gateway(tmp_path, **settings) as service, worker(tmp_path, **settings):
        for each in (anna, bert, anna):
            with httpx.Client(base_url=service.url, headers=each.headers, timeout=60) as http:
                ask(http, prompt)
    assert len(provider.calls_of(prompt)) == 2


@pytest.fixture
def wide(apache_kafka: AnyKafka, any_redis: AnyRedis, _provider: ScriptedProvider) -> dict[str, str]:
    return cluster_settings(apache_kafka, any_redis, _provider)


async def _all_answers(urls: list[str], asked: str, count: int) -> list[dict[str, Any]]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:

        async def answer(url: str) -> dict[str, Any]:
            body = {"user_prompt": asked, "temperature": 0}
            async with http.post(f"{url}/invoke?wait=55", json=body) as response:
                told: dict[str, Any] = await response.json()
                return told

        return await asyncio.gather(*(answer(urls[number % len(urls)]) for number in range(count)))


@pytest.mark.campaign
@pytest.mark.parametrize("kill", [False, True], ids=["all live", "leader killed"])
async def test_a_thousand_equal_calls_over_the_cluster_are_one(
    wide: dict[str, str], provider: ScriptedProvider, tmp_path: Path, prompt: str, kill: bool
) -> None:
    # Longer than the second worker's start, which comes first: the leader must die during its call.
    asked = f"{prompt} [[latency_ms={12_000 if kill else 3_000}]]"
    with (
        gateway(tmp_path, "one", **wide) as one,
        gateway(tmp_path, "two", **wide) as two,
        gateway(tmp_path, "three", **wide) as three,
        worker(tmp_path, "first", **wide) as first,
    ):
        urls = [service.url for service in (one, two, three)]
        answering = asyncio.create_task(_all_answers(urls, asked, 1000))
        while not provider.calls_of(asked):
            await asyncio.sleep(0.05)
        # The first worker leads; another comes, and shares the partitions
        with worker(tmp_path, "second", **wide):
            if kill:
                first.kill()
            answers = await answering
    assert {answer["data"]["response"] for answer in answers} == {f"echo: {asked}"}
    assert len({answer["request_id"] for answer in answers}) == 1000
    # A call that was under way when its worker died may be charged: it is made once more, for all
    assert len(provider.calls_of(asked)) == (2 if kill else 1)
    assert sum(answer["possible_duplicate_charge"] for answer in answers) <= int(kill)


def test_the_command_shows_and_purges(cluster: Cluster, tmp_path: Path, prompt: str) -> None:
    def run(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "gateway.cache", *arguments],
            env=clean_environment(**cluster.settings),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout

    with httpx.Client(base_url=cluster.url, timeout=60) as http:
        for model in ("gpt-4o", "gpt-4o-mini"):
            for _ in range(2):
                ask(http, prompt, model=model)
        shown = run()
        assert "public  gpt-4o  " in shown
        assert "hit rate" in shown
        purged = run("purge", "--model", "gpt-4o")
        assert int(purged.split()[1]) >= 1
        assert "public  gpt-4o  " not in run("show")
        assert ask(http, prompt, model="gpt-4o-mini")["cached"] is True
        assert ask(http, prompt, model="gpt-4o")["cached"] is False
        assert "purged   0" in run("purge", "--owner", "nobody")
    cache = httpx.get(f"{cluster.url}/stats").json()["total"]["cache"]
    assert cache["hits"] > 0
    assert cache["misses"] > 0
