"""Keys are planted wherever a caller may put one, and then looked for everywhere."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx
import orjson
import pytest
from aiokafka import TopicPartition
from redis import Redis

from tests.e2e.conftest import cluster_settings
from tests.e2e.test_lifecycle import until
from tests.support.canary import Places, found, place_of, records, redis_values
from tests.support.clients import client, settings_for
from tests.support.otlp_collector import OtlpCollector
from tests.support.processes import Child
from tests.support.provider_process import ScriptedProvider
from tests.support.redis_process import RedisServer
from tests.support.redis_servers import any_binary
from tests.support.sealing_keys import KeyFiles
from tests.support.server import AnyKafka
from tests.support.service_processes import Service, gateway, worker
from tests.support.topics import produce

KEY = "sk-CANARY-1f0e9d8c7b6a5f4e3d2c"
ANNA = client("anna")
SECRETS = (KEY, ANNA.token)
TOPICS = ("REQUEST", "RESULT", "METRICS", "ERROR", "DEAD_LETTER")


@dataclass
class Watched:
    """A cluster of its own, everything that it writes, and everything that it answered."""

    settings: dict[str, str]
    folder: Path
    gateway: Service
    worker: Child
    collector: OtlpCollector
    secret: str
    answers: Places = field(default_factory=dict)
    own: set[str] = field(default_factory=set)
    """Records that a producer wrote with a key in the clear: its own doing."""

    def topic(self, name: str) -> str:
        return self.settings[f"KAFKA_{name}_TOPIC"]

    def ask(self, method: str, path: str, **request: object) -> httpx.Response:
        request.setdefault("headers", ANNA.headers)
        response = httpx.request(method, f"{self.gateway.url}{path}", timeout=60, **request)  # type: ignore[arg-type]
        told = response.content + repr(response.headers.raw).encode()
        self.answers[f"answer {len(self.answers)} {method} {path.split('?', maxsplit=1)[0][:12]}"] = told
        return response

    async def produce(self, body: dict[str, object]) -> None:
        """A record with a key in it, under Anna's name."""
        headers = [("llm_owner", b"anna"), ("note", KEY.encode())]
        brokers = self.settings["KAFKA_BOOTSTRAP_SERVERS"]
        value = orjson.dumps(body)
        sent = await produce(brokers, self.topic("REQUEST"), value, key=KEY.encode(), headers=headers)
        self.own.add(place_of(TopicPartition(sent.topic, sent.partition), sent.offset))

    async def everything(self) -> Places:
        brokers = self.settings["KAFKA_BOOTSTRAP_SERVERS"]
        topics = await records(brokers, [self.topic(name) for name in TOPICS])
        files = {str(path): path.read_bytes() for path in self.folder.iterdir() if path.is_file()}
        kept = {place: content for place, content in topics.items() if place not in self.own}
        return {**kept, **redis_values(self.settings["REDIS_URL"]), **files, **self.answers, **self.traces()}

    def traces(self) -> Places:
        """Whatever a collector was sent, when the last request is among it."""
        last = self.ask("POST", "/invoke", json={}).json()["error"]["trace_id"]
        self.collector.wait_for(lambda _: bool(self.collector.trace(last)))
        return {f"trace {number}": body for number, body in enumerate(self.collector.received)}


@pytest.fixture(scope="module")
def watched(
    apache_kafka: AnyKafka, _provider: ScriptedProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    files = KeyFiles(tmp_path_factory.mktemp("keys"))
    files.run("generate")
    folder = tmp_path_factory.mktemp("watched")
    with RedisServer(any_binary()) as redis, OtlpCollector() as collector:
        settings = cluster_settings(apache_kafka, redis, _provider) | {
            "LLM_DEBUG": "true",
            "LLM_LOG_LEVEL": "DEBUG",
            **collector.settings,
            # The framework's own telemetry, which tells queries, stays off even for who asks for it.
            "FASTAPI_OTEL_AUTO_CONFIGURE": "true",
        }
        with (
            gateway(
                folder, LLM_SEALING_JWKS_FILE=str(files.public), **settings, **settings_for(ANNA)
            ) as sealing,
            worker(folder, WORKER_SEALING_KEYS_FILE=str(files.private), **settings) as opening,
        ):
            yield Watched(settings, folder, sealing, opening, collector, files.secret())


def body(prompt: str = "x", **more: object) -> dict[str, object]:
    return {"user_prompt": f"{uuid4()} {prompt}", "request_id": str(uuid4()), **more}


CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "x"}]}
HEADERS = (
    "Idempotency-Key",
    "Last-Event-ID",
    "Cache-Control",
    "Prefer",
    "traceparent",
    "Content-Type",
    "Authorization",
    "X-Api-Key",
)


def plant_where_it_belongs(watched: Watched) -> None:
    """On every way that a job can end, also as a stream and from the cache."""
    for prompt in ("", "[[status=401]]", "[[status=500]]", "[[cut]]", "[[malformed]]", "[[status=400]]"):
        asked = body(prompt, openai_api_key=KEY)
        watched.ask("POST", "/invoke", json=asked)
        watched.ask("POST", "/invoke", json=asked)
        watched.ask("GET", f"/result/{asked['request_id']}")
        watched.ask("POST", f"/result/{asked['request_id']}/cancel")
        watched.ask("DELETE", f"/result/{asked['request_id']}")
    for prompt in (
        "[[token_ms=5]] and so on",
        "[[cut times=1 token_ms=5]]",
        "[[malformed]]",
        "[[status=401]]",
    ):
        streamed = body(prompt, openai_api_key=KEY, stream=True, temperature=0)
        watched.ask("POST", "/invoke", json=streamed)
        watched.ask("GET", f"/result/{streamed['request_id']}/events")
        watched.ask("POST", "/invoke", json=streamed | {"request_id": str(uuid4())})


def plant_where_it_does_not(watched: Watched) -> None:
    """In fields, names, headers and paths."""
    for field_name in (
        "model",
        "request_id",
        "openai_api_key",
        "temperature",
        "metadata",
        "unknown",
        "cache",
    ):
        watched.ask("POST", "/invoke", json=body() | {field_name: f"{KEY} !"})
    watched.ask("POST", "/invoke", json=body() | {KEY: 1})
    watched.ask("POST", "/invoke", content=f'{{"{KEY}'.encode())
    watched.ask("POST", f"/invoke?wait={KEY}", json=body())
    for wrong in ({"model": KEY}, {KEY: 1}, {"messages": [{KEY: 1}]}, {"n": KEY}):
        watched.ask("POST", "/v1/chat/completions", json=CHAT | wrong)
    for name in HEADERS:
        planted = {**ANNA.headers, name: f"Bearer {KEY}"}
        watched.ask("POST", "/invoke", json=body(), headers=planted)
        watched.ask("POST", "/invoke", json=body(), headers={**ANNA.headers, name: ANNA.token})
        watched.ask("POST", "/v1/chat/completions", json=CHAT, headers=planted)
        watched.ask("GET", f"/result/{uuid4()}/events", headers=planted)
    for path in (
        f"/result/{KEY}",
        f"/{KEY}",
        f"/v1/models/{KEY}",
        f"/v1/{KEY}",
        f"/result/{ANNA.token}?key={KEY}",
        "/stats",
        "/metrics",
        "/openapi.json",
    ):
        watched.ask("GET", path)


async def test_a_planted_key_is_nowhere(watched: Watched) -> None:
    # Given a key wherever a caller may put one
    plant_where_it_belongs(watched)
    plant_where_it_does_not(watched)
    # And on the topic, where it never belongs
    last = body(openai_api_key=KEY)
    nonsense: list[dict[str, object]] = [{"openai_api_key": KEY}, {KEY: 1}]
    for refused in (body(openai_api_key=f"{KEY} !"), body(model=KEY), *nonsense, last):
        await watched.produce(refused)
    until(lambda: watched.ask("GET", f"/result/{last['request_id']}?wait=5").json().get("status") == "failed")
    # When it is looked for in all that was written and said
    places = await watched.everything()
    # Then no place holds it, and every kind of place was looked at
    assert found((*SECRETS, watched.secret), places) == []
    for kind in ("answer ", "redis ", "trace ", "gateway.log", "worker.log", *map(watched.topic, TOPICS)):
        assert any(kind in place for place in places), kind
    assert {span.kind for span in watched.collector.spans()} == {"SERVER", "PRODUCER", "CONSUMER", "CLIENT"}
    assert len([place for place in places if place.startswith(watched.topic("DEAD_LETTER"))]) >= 3


async def test_a_key_that_leaks_is_found_in_each_place(watched: Watched) -> None:
    # A prompt is content, so a key in one goes where content goes, and nowhere else
    asked = body(f"remember {KEY}")
    watched.ask("POST", "/invoke", json=asked)
    seen = found([KEY], await watched.everything())
    wanted = {"answer", "redis", watched.topic("REQUEST"), watched.topic("RESULT")}
    assert {place.replace("/", " ").split()[0] for place in seen} == wanted
    # And leaks of every other kind are found where they are
    for name in ("METRICS", "ERROR", "DEAD_LETTER"):
        await produce(
            watched.settings["KAFKA_BOOTSTRAP_SERVERS"], watched.topic(name), KEY.encode(), key=b"k"
        )
    with Redis.from_url(watched.settings["REDIS_URL"]) as redis:
        redis.set(f"of {KEY}", "x")
        redis.hset("a hash", KEY, "x")
        redis.rpush("a list", KEY)
        redis.sadd("a set", KEY)
        redis.zadd("a sorted set", {KEY: 1})
        redis.xadd("a stream", {"key": KEY})
    for name in ("gateway.log", "worker.log", "worker.jsonl"):
        with (watched.folder / name).open("a") as file:
            file.write(f"{KEY}\n")
    watched.collector.take("/v1/logs", KEY.encode())
    more = set(found([KEY], await watched.everything())) - set(seen)
    assert len([place for place in more if place.startswith("trace")]) == 1
    assert len([place for place in more if place.startswith("llm-")]) == 3
    assert len([place for place in more if place.startswith("redis")]) == 6
    assert {Path(place).name for place in more if place.endswith(("log", "jsonl"))} == {
        "gateway.log",
        "worker.log",
        "worker.jsonl",
    }


@pytest.mark.parametrize("shift", range(3))
def test_an_encoded_key_is_found(shift: int) -> None:
    encoded = base64.b64encode(b"." * shift + KEY.encode() + b"...")
    assert found([KEY], {"here": b"x" + encoded, "there": b"nothing"}) == ["here"]
