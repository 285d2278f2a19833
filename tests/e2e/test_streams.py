"""An answer is followed while it is written, by anybody who may see it, from any place in it."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import httpx
import openai
import orjson
import pytest

from tests.e2e.conftest import cluster_settings, provider_settings
from tests.e2e.test_lifecycle import until
from tests.support.event_stream import Event, async_events_of, events_of, text_of
from tests.support.provider_process import ScriptedProvider
from tests.support.redis_process import RedisServer
from tests.support.redis_servers import any_binary
from tests.support.server import AnyKafka, AnyRedis
from tests.support.service_processes import gateway, one_process, worker

WORDS = "one two three four five six seven eight nine ten eleven twelve"


def invoke_stream(http: httpx.Client, prompt: str, **body: Any) -> list[Event]:
    body = {"user_prompt": prompt, "stream": True, **body}
    with http.stream("POST", "/invoke", json=body) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        return list(events_of(response.iter_lines()))


def follow(http: httpx.Client, request_id: str, after: int = 0) -> list[Event]:
    headers = {"Last-Event-ID": str(after)} if after else {}
    with http.stream("GET", f"/result/{request_id}/events", headers=headers) as response:
        assert response.status_code == 200, response.read()
        return list(events_of(response.iter_lines()))


def test_an_answer_is_told_while_it_is_written_and_again_from_any_place(http: httpx.Client) -> None:
    prompt, request_id = f"[[token_ms=10]] {uuid4()} {WORDS}", str(uuid4())
    *deltas, result = invoke_stream(http, prompt, request_id=request_id)
    # Then the deltas come to the answer that is stored
    assert (result.name, result.data["success"], result.data["request_id"]) == ("result", True, request_id)
    assert text_of(deltas) == result.data["data"]["response"] == f"echo: {prompt}"
    assert len(deltas) > 3
    stored = http.get(f"/result/{request_id}").json()
    assert {**stored, "performance": None} == {**result.data, "performance": None}
    # And from any place in it, what follows is exactly the rest
    ids = [event.id for event in deltas]
    assert ids == sorted(ids, key=lambda number: number or 0)
    for count in (1, 2, len(deltas)):
        *rest, last = follow(http, request_id, after=ids[count - 1] or 0)
        assert (rest, last.name) == (deltas[count:], "result")


def test_the_same_stream_again_is_a_replay(http: httpx.Client, provider: ScriptedProvider) -> None:
    prompt, request_id = f"{uuid4()} {WORDS}", str(uuid4())
    first = invoke_stream(http, prompt, request_id=request_id)
    body = {"user_prompt": prompt, "stream": True, "request_id": request_id}
    again = http.post("/invoke", json=body)
    assert again.headers["idempotent-replayed"] == "true"
    *deltas, result = events_of(again.text.splitlines())
    assert text_of(deltas) == text_of(first)
    assert result.data["cached"] is True
    # And so is the whole answer, for who asks without a stream
    whole = http.post("/invoke", json={**body, "stream": False})
    assert whole.json()["data"]["response"] == text_of(first)
    assert len(provider.calls_of(prompt)) == 1


def test_a_job_that_is_not_streamed_can_be_followed_as_well(http: httpx.Client) -> None:
    prompt, request_id = f"[[latency_ms=300]] {uuid4()}", str(uuid4())
    accepted = http.post("/submit", json={"user_prompt": prompt, "request_id": request_id}).json()
    assert accepted["events_url"] == f"/result/{request_id}/events"
    *deltas, result = follow(http, request_id)
    assert text_of(deltas) == result.data["data"]["response"] == f"echo: {prompt}"


def test_submit_answers_at_once_and_is_streamed_to_who_follows(http: httpx.Client) -> None:
    prompt, request_id = f"[[token_ms=20]] {uuid4()} {WORDS}", str(uuid4())
    body = {"user_prompt": prompt, "request_id": request_id, "stream": True}
    assert http.post("/submit", json=body).status_code == 202
    *deltas, _ = follow(http, request_id)
    assert (text_of(deltas), len(deltas) > 3) == (f"echo: {prompt}", True)


@pytest.mark.parametrize("fault", ["cut", "malformed"])
def test_a_new_attempt_says_that_the_answer_begins_anew(http: httpx.Client, fault: str) -> None:
    prompt = f"[[{fault} times=1 token_ms=10]] {uuid4()} {WORDS}"
    *events, result = invoke_stream(http, prompt)
    [retrying] = [event for event in events if event.name == "retrying"]
    assert retrying.data == {"attempt": 2, "reset": True}
    assert text_of(events) == result.data["data"]["response"] == f"echo: {prompt}"
    assert result.data["performance"]["attempts"] == 2


def test_openais_stream_goes_on_through_a_new_attempt_without_a_repeat(service_url: str) -> None:
    prompt = f"[[cut times=1 token_ms=10]] {uuid4()} {WORDS}"
    with openai.OpenAI(api_key="unused", base_url=f"{service_url}/v1", max_retries=0) as client:
        chunks = list(
            client.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": prompt}], stream=True
            )
        )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == f"echo: {prompt}"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]


def test_a_job_that_fails_ends_its_events_with_the_error(http: httpx.Client) -> None:
    [error] = invoke_stream(http, f"{uuid4()} [[status=400]]")
    assert (error.name, error.data["success"]) == ("error", False)
    assert error.data["error"]["error_code"] == "UPSTREAM_REJECTED"
    assert len(error.data["error"]["trace_id"]) == 32


def test_a_job_that_is_cancelled_ends_its_events(http: httpx.Client) -> None:
    request_id = str(uuid4())
    body = {"user_prompt": f"[[token_ms=100]] {WORDS} " * 20, "request_id": request_id, "stream": True}
    assert http.post("/submit", json=body).status_code == 202
    with http.stream("GET", f"/result/{request_id}/events") as response:
        events = events_of(response.iter_lines())
        assert next(events).name == "delta"
        assert http.post(f"/result/{request_id}/cancel").status_code == 202
        last = list(events)[-1]
    assert (last.name, last.data["error"]["error_code"]) == ("error", "JOB_CANCELLED")


def test_what_cannot_be_followed_is_refused_as_any_reading(http: httpx.Client) -> None:
    request_id = str(uuid4())
    assert http.get(f"/result/{request_id}/events").status_code == 404
    assert http.get("/result/nonsense/events").status_code == 404
    for wrong in ("-1", "1.5", "abc", "1" * 20):
        refused = http.get(f"/result/{request_id}/events", headers={"Last-Event-ID": wrong})
        assert (refused.status_code, refused.json()["error"]["field"]) == (400, "Last-Event-ID")
    invoke_stream(http, f"{uuid4()}", request_id=request_id)
    assert http.delete(f"/result/{request_id}").status_code == 204
    assert http.get(f"/result/{request_id}/events").status_code == 410


def test_a_place_that_nobody_knows_any_more_begins_anew(http: httpx.Client) -> None:
    prompt, request_id = f"{uuid4()} {WORDS}", str(uuid4())
    http.post("/invoke", json={"user_prompt": prompt, "request_id": request_id})
    reset, *deltas, result = follow(http, request_id, after=7)
    assert (reset.name, reset.data) == ("retrying", {"reset": True})
    assert text_of(deltas) == result.data["data"]["response"]


def test_a_reader_that_does_not_read_holds_nobody_back(http: httpx.Client) -> None:
    # Given an answer that is larger than what lies between a gateway and a client
    prompt, request_id = f"{uuid4()} " + "word " * 150_000, str(uuid4())
    body = orjson.dumps({"user_prompt": prompt, "request_id": request_id, "stream": True})
    address = urlsplit(str(http.base_url))
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(60)
        slow.connect((address.hostname, address.port))
        head = (
            f"POST /invoke HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        slow.sendall(head.encode() + body)
        # When it does not read, then the job ends all the same
        until(lambda: http.get(f"/result/{request_id}").json().get("status") == "succeeded")
        # And when it reads at last, all of it comes
        received = b"".join(iter(lambda: slow.recv(1 << 20), b""))
    lines = [line for line in received.decode().split("\n") if line.startswith("data: ")]
    assert orjson.loads(lines[-1].removeprefix("data: "))["data"]["response"] == f"echo: {prompt}"


@pytest.fixture
def narrow(_provider: ScriptedProvider, tmp_path: Path) -> Iterator[str]:
    settings = provider_settings(_provider) | {"REDIS_ENABLED": "false", "LLM_MAX_WAITERS": "1"}
    with one_process(tmp_path, **settings) as service:
        yield service.url


def test_who_cannot_be_held_does_not_pay(narrow: str, provider: ScriptedProvider) -> None:
    # Given a replica that holds as many callers as it may
    chat = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"no room {uuid4()}"}]}
    slow = {"user_prompt": f"[[token_ms=200]] {WORDS}", "stream": True}
    with httpx.stream("POST", f"{narrow}/invoke", json=slow, timeout=60) as held:
        events = events_of(held.iter_lines())
        assert next(events).name == "delta"
        until(lambda: httpx.get(f"{narrow}/stats").json()["waiting"] == 1)
        # When another comes, then it is refused before anything is claimed
        for stream in (False, True):
            refused = httpx.post(f"{narrow}/v1/chat/completions", json={**chat, "stream": stream})
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "queue_full")
            assert "LLM_MAX_WAITERS=1" in refused.json()["error"]["message"]
            assert int(refused.headers["retry-after"]) > 0
        assert provider.calls_of(chat["messages"][0]["content"]) == []  # type: ignore[index]
    # And when the first has left, there is room
    until(lambda: httpx.get(f"{narrow}/stats").json()["waiting"] == 0)
    assert httpx.post(f"{narrow}/v1/chat/completions", json=chat, timeout=60).status_code == 200


class Follower:
    """One client of one stream, as often as it has to begin again."""

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.seen: list[Event] = []
        self.has_begun = asyncio.Event()

    @property
    def is_whole(self) -> bool:
        return bool(self.seen) and self.seen[-1].name == "result"

    async def follow(self, http: aiohttp.ClientSession, url: str) -> None:
        """Until the end, or until the gateway is gone."""
        headers = {"Last-Event-ID": str(self.seen[-1].id)} if self.seen else {}
        with suppress(aiohttp.ClientError):
            async with http.get(f"{url}/result/{self.request_id}/events", headers=headers) as response:
                assert response.status == 200
                async for event in async_events_of(
                    line.decode().rstrip("\n") async for line in response.content
                ):
                    self.seen.append(event)
                    self.has_begun.set()


@pytest.mark.campaign
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "told to stop"])
async def test_two_hundred_streams_go_on_at_another_gateway(
    apache_kafka: AnyKafka, any_redis: AnyRedis, provider: ScriptedProvider, tmp_path: Path, end: int
) -> None:
    settings = cluster_settings(apache_kafka, any_redis, provider)
    followers = [Follower(str(uuid4())) for _ in range(200)]
    prompts = {each.request_id: f"[[token_ms=100]] {each.request_id} {WORDS * 6}" for each in followers}
    with (
        gateway(tmp_path, "one", **settings) as one,
        gateway(tmp_path, "two", **settings) as two,
        worker(tmp_path, **settings),
    ):
        # Given two hundred streams in their middle
        asked = (
            {"user_prompt": prompt, "request_id": each, "stream": True} for each, prompt in prompts.items()
        )
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
            posts = (http.post(f"{two.url}/submit", json=body) for body in asked)
            assert {answer.status for answer in await asyncio.gather(*posts)} == {202}
            following = [asyncio.create_task(each.follow(http, one.url)) for each in followers]
            await asyncio.gather(*(each.has_begun.wait() for each in followers))
            # When their gateway ends
            one.child.send_signal(end)
            await asyncio.gather(*following)
            cut_off = [each for each in followers if not each.is_whole]
            assert len(cut_off) > 100
            # Then each goes on at another from where it was, and has every word once
            await asyncio.gather(*(each.follow(http, two.url) for each in cut_off))
        for each in followers:
            *deltas, result = each.seen
            assert text_of(deltas) == f"echo: {prompts[each.request_id]}"
            assert result.data["data"]["response"] == f"echo: {prompts[each.request_id]}"
            numbers = [event.id for event in deltas]
            assert numbers == sorted(set(numbers), key=lambda number: number or 0)
        assert provider.count() == len(followers)


def test_another_worker_writes_the_answer_anew_when_the_first_is_killed(
    apache_kafka: AnyKafka, any_redis: AnyRedis, provider: ScriptedProvider, tmp_path: Path
) -> None:
    settings = cluster_settings(apache_kafka, any_redis, provider)
    prompt, request_id = f"[[token_ms=200]] {uuid4()} {WORDS}", str(uuid4())
    with (
        gateway(tmp_path, **settings) as service,
        httpx.Client(base_url=service.url, timeout=60) as http,
        worker(tmp_path, "first", **settings) as first,
    ):
        body = {"user_prompt": prompt, "request_id": request_id, "stream": True}
        assert http.post("/submit", json=body).status_code == 202
        with http.stream("GET", f"/result/{request_id}/events") as response:
            events = events_of(response.iter_lines())
            before = [next(events), next(events), next(events)]
            first.send_signal(signal.SIGKILL)
            with worker(tmp_path, "second", **settings):
                *after, result = events
    [retrying] = [event for event in after if event.name == "retrying"]
    assert retrying.data == {"attempt": 2, "reset": True}
    assert text_of([*before, *after]) == result.data["data"]["response"] == f"echo: {prompt}"
    assert result.data["possible_duplicate_charge"] is True


def test_a_stream_whose_store_goes_away_is_completed_from_the_log(
    apache_kafka: AnyKafka, provider: ScriptedProvider, tmp_path: Path
) -> None:
    prompt, request_id = f"[[token_ms=150]] {uuid4()} {WORDS}", str(uuid4())
    with RedisServer(any_binary()) as redis:
        settings = cluster_settings(apache_kafka, redis, provider)
        with (
            gateway(tmp_path, **settings) as service,
            worker(tmp_path, **settings),
            httpx.Client(base_url=service.url, timeout=60) as http,
        ):
            body = {"user_prompt": prompt, "request_id": request_id, "stream": True}
            with http.stream("POST", "/invoke", json=body) as response:
                events = events_of(response.iter_lines())
                before = [next(events), next(events), next(events)]
                redis.kill()
                *after, result = events
    # Nothing more could be written, and not a word is missing or comes twice
    assert text_of([*before, *after]) == result.data["data"]["response"] == f"echo: {prompt}"
    assert not any(event.name == "retrying" for event in after)
    assert len(provider.calls_of(prompt)) == 1
