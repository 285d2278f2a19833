"""The ground the other tests stand on: real brokers, a scripted provider, and children that never stay."""

import asyncio
import os
import signal
import socket
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
import redis
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.conftest import missing
from tests.support.apache_kafka import ApacheKafka
from tests.support.availability import Unavailable
from tests.support.kafka_brokers import find_kafka_distribution
from tests.support.kafka_distribution import KafkaDistribution
from tests.support.kafka_properties import QUICK_FENCING
from tests.support.ports import free_port
from tests.support.processes import NotReadyError, start, wait_for_end, wait_for_line, wait_for_port
from tests.support.provider_process import ScriptedProvider
from tests.support.redis_process import DURABLE, RedisBinary, RedisServer
from tests.support.redis_servers import redis_binary, valkey_binary
from tests.support.server import AnyKafka, AnyRedis
from tests.support.tcp_proxy import TcpProxy

ROOT = Path(__file__).parents[2]


# --- Kafka ---


@pytest.fixture(scope="module")
def distribution() -> KafkaDistribution:
    try:
        return find_kafka_distribution()
    except Unavailable as reason:
        missing(str(reason))


async def test_a_record_sent_with_all_acks_comes_back(kafka: AnyKafka) -> None:
    assert await round_trip(kafka, await new_topic(kafka)) == (b"key", b"value")


async def test_a_cluster_serves_while_one_node_is_dead_and_takes_it_back(
    distribution: KafkaDistribution,
) -> None:
    with ApacheKafka(distribution, nodes=3, properties=QUICK_FENCING) as kafka:
        topic = await new_topic(kafka)  # aiokafka's admin client never looks for another controller
        kafka.kill_node(1)
        assert await round_trip(kafka, topic) == (b"key", b"value")
        kafka.start_node(1)
        assert kafka.child(1).is_alive()


async def test_kafka_behind_a_proxy_advertises_the_proxy(distribution: KafkaDistribution) -> None:
    kafka = ApacheKafka(distribution)
    async with TcpProxy("127.0.0.1", kafka.port()) as proxy:
        kafka.advertise(1, proxy.port)
        with kafka:
            assert kafka.bootstrap_servers == f"127.0.0.1:{proxy.port}"
            assert await round_trip(kafka, await new_topic(kafka)) == (b"key", b"value")


async def new_topic(kafka: AnyKafka) -> str:
    topic = f"topic-{uuid.uuid4()}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, -1, replica_assignments={})])
    finally:
        await admin.close()
    return topic


async def round_trip(kafka: AnyKafka, topic: str) -> tuple[bytes | None, bytes | None]:
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers, acks="all", enable_idempotence=True
    )
    async with producer:
        await producer.send_and_wait(topic, key=b"key", value=b"value")
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=kafka.bootstrap_servers, group_id=topic, auto_offset_reset="earliest"
    )
    async with consumer, asyncio.timeout(30):
        record = await consumer.getone()
    return record.key, record.value


# --- Redis and Valkey ---


@pytest.fixture(params=[redis_binary, valkey_binary], ids=["redis", "valkey"])
def durable(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    try:
        binary: RedisBinary = request.param()
    except Unavailable as reason:
        missing(str(reason))
    with RedisServer(binary, DURABLE) as server:
        yield server


def test_a_lua_script_runs(redis_server: AnyRedis) -> None:
    with closing(redis.Redis.from_url(redis_server.url)) as client:
        script = client.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
        assert script(keys=[f"test:{uuid.uuid4()}"], args=[3]) == 3


def test_an_acknowledged_write_survives_kill_9_and_a_restart_on_the_same_port(durable: RedisServer) -> None:
    with closing(redis.Redis.from_url(durable.url)) as client:
        client.set("key", "value")
        durable.kill()
        with pytest.raises(redis.ConnectionError):
            client.get("key")
        durable.restart()
        assert client.get("key") == b"value"


def test_a_paused_server_answers_only_once_resumed(durable: RedisServer) -> None:
    with closing(redis.Redis.from_url(durable.url, socket_timeout=0.2, retry=None)) as client:
        durable.pause()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        durable.resume()
        assert client.ping()


# --- The scripted provider ---


async def ask(provider: ScriptedProvider, text: str, **more: object) -> httpx.Response:
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **more}
    async with httpx.AsyncClient(timeout=10) as client:
        headers = {"authorization": "Bearer sk-1234"}
        return await client.post(f"{provider.base_url}/chat/completions", json=body, headers=headers)


async def test_the_answer_echoes_its_own_question_and_the_ledger_knows(provider: ScriptedProvider) -> None:
    completion = (await ask(provider, "good day", logprobs=True)).json()
    choice = completion["choices"][0]
    assert choice["message"]["content"] == "echo: good day"
    assert "".join(part["token"] for part in choice["logprobs"]["content"]) == "echo: good day"
    assert completion["usage"]["total_tokens"] == 5
    [call] = provider.ledger()
    assert (call.message, call.key_ending, call.status) == ("good day", "1234", 200)
    assert call.parameters == {"model": "m", "logprobs": True}
    assert provider.count() == 1


async def test_a_directive_fails_the_first_two_calls_of_its_message(provider: ScriptedProvider) -> None:
    text = "[[status=429 times=2 retry_after=0.05]] again"
    answers = [await ask(provider, text) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["retry-after"] == "0.05"
    assert answers[0].json()["error"]["code"] == "rate_limit_exceeded"
    assert [call.status for call in provider.calls_of(text)] == [429, 429, 200]


async def test_a_cut_answer_breaks_the_connection(provider: ScriptedProvider) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await ask(provider, "[[cut]]")
    with pytest.raises(httpx.RemoteProtocolError):
        await ask(provider, "[[cut]]", stream=True)


@pytest.mark.parametrize(
    ("directive", "status", "code"),
    [
        ("[[status=400 code=context_length_exceeded]]", 400, "context_length_exceeded"),
        ("[[status=401]]", 401, "invalid_api_key"),
        ("[[status=429 code=insufficient_quota]]", 429, "insufficient_quota"),
        ("[[status=503]]", 503, None),
    ],
)
async def test_errors_have_the_shape_of_openai(
    provider: ScriptedProvider, directive: str, status: int, code: str | None
) -> None:
    answer = await ask(provider, directive)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["error"].keys() == {"message", "type", "param", "code"}


async def test_other_directives_shape_the_answer(provider: ScriptedProvider) -> None:
    with pytest.raises(ValueError, match="char"):
        (await ask(provider, "[[malformed]]")).json()
    assert (await ask(provider, "[[finish=length]]")).json()["choices"][0]["finish_reason"] == "length"
    choice = (await ask(provider, "[[tool_calls]]")).json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"][0]["function"]["name"] == "look_up"


async def test_a_stream_ends_with_usage_and_done(provider: ScriptedProvider) -> None:
    answer = await ask(provider, "hello", stream=True, stream_options={"include_usage": True})
    lines = [line for line in answer.text.split("\n\n") if line]
    assert lines[-1] == "data: [DONE]"
    assert '"total_tokens":3' in lines[-2]


async def test_the_ledger_says_who_left_before_the_answer(provider: ScriptedProvider) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await ask(provider, "[[hang]]")
    assert await ask(provider, "[[latency_ms=50]] stayed")
    left, stayed = provider.ledger()
    assert (left.was_disconnected, left.status) == (True, 0)
    assert (stayed.was_disconnected, stayed.status) == (False, 200)


async def test_the_global_script_fails_a_number_of_calls_of_whatever_message(
    provider: ScriptedProvider,
) -> None:
    provider.script(latency_ms=1, latency_ms_max=5, seed=7, failures=[{"status": 500, "times": 2}])
    statuses = [(await ask(provider, f"number {number}")).status_code for number in range(3)]
    assert statuses == [500, 500, 200]


# --- The proxy ---


async def test_the_proxy_holds_refuses_and_heals(provider: ScriptedProvider) -> None:
    port = int(provider.base_url.split(":")[2].removesuffix("/v1"))
    async with TcpProxy("127.0.0.1", port) as proxy, httpx.AsyncClient(timeout=5) as client:
        url = f"http://127.0.0.1:{proxy.port}/v1/models"
        assert (await client.get(url)).status_code == 200
        proxy.blackhole()
        with pytest.raises(httpx.ReadTimeout):
            await client.get(url, timeout=0.2)
        proxy.heal()
        assert (await client.get(url)).status_code == 200
        await proxy.refuse()
        with pytest.raises(httpx.TransportError):
            await client.get(url)
        await proxy.start()
        assert (await client.get(url)).status_code == 200


@pytest.mark.parametrize(("fault", "seen"), [("cut", b""), ("reset", None)])
async def test_the_proxy_cuts_and_resets_open_connections(
    any_redis: AnyRedis, fault: str, seen: bytes | None
) -> None:
    port = int(any_redis.url.split(":")[2].split("/")[0])
    async with TcpProxy("127.0.0.1", port) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"PING\r\n")
        assert await reader.readline() == b"+PONG\r\n"
        getattr(proxy, fault)()
        try:
            assert await reader.read() == seen
        except ConnectionResetError:
            assert seen is None
        writer.close()


# --- Child processes ---

GRANDPARENT = """
import sys, time
from pathlib import Path
from tests.support.processes import start
sleeper = [sys.executable, "-c", "import subprocess, sys; subprocess.run(['sleep', '600'])"]
print("child", start(sleeper, log_path=Path(sys.argv[1])).pid, flush=True)
time.sleep(600)
"""


RUNAWAY = """
import subprocess
sleeper = subprocess.Popen(["sleep", "600"], start_new_session=True)
print("pid", sleeper.pid, flush=True)
sleeper.wait()
"""


def test_children_die_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", GRANDPARENT, f"{tmp_path / 'grandchild.log'}"]
    with start(command, log_path=tmp_path / "child.log", cwd=ROOT) as parent:
        grandchild = int(wait_for_line(parent, "child").split()[1])
        os.kill(parent.pid, signal.SIGKILL)
        wait_for_end(grandchild)


def test_the_whole_tree_ends_with_the_child(tmp_path: Path) -> None:
    with start([sys.executable, "-c", RUNAWAY], log_path=tmp_path / "log") as child:
        runaway = int(wait_for_line(child, "pid").split()[1])
    wait_for_end(runaway)


def test_a_child_that_ends_too_early_shows_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('no such luck'); raise SystemExit(3)"]
    with (
        start(command, log_path=tmp_path / "log") as child,
        pytest.raises(NotReadyError, match=r"ended with 3 before listening[\s\S]*no such luck"),
    ):
        wait_for_port("127.0.0.1", free_port(), 10, child)


def test_a_free_port_is_not_one_the_kernel_gives_to_clients() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert free_port() < 32_000 <= listener.getsockname()[1]
