"""A Kafka with passwords, certificates and rights: the whole flow with the least, and what is said of less.

The rights are those that docs/secure.md tells.
"""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from shared.adapters.kafka_topics import ensure_topics
from shared.domain.priority import lanes_of
from tests.e2e.conftest import cluster_settings
from tests.support.dead_letter_topic import Finished, run_dead_letters
from tests.support.kafka_acls import Acl, allow, forbid
from tests.support.provider_process import ScriptedProvider
from tests.support.secured_kafka import SecuredKafka
from tests.support.server import AnyRedis
from tests.support.service_processes import ROOT, clean_environment, gateway, logged, worker
from tests.support.topics import produce

DOCUMENTED = re.compile(r"^\| (\w+) \| (\w+) \| (topic|group) `([\w.-]+)` \|$", re.MULTILINE)
CANARY = "CANARY"


def documented_acls(who: str) -> list[Acl]:
    found = DOCUMENTED.findall((ROOT / "docs" / "secure.md").read_text())
    return [Acl(right, kind, name) for user, right, kind, name in found if user == who]


class Scene:
    """Topics and a group of its own on a Kafka that knows who may use them."""

    def __init__(
        self, kafka: SecuredKafka, redis: AnyRedis, provider: ScriptedProvider, folder: Path
    ) -> None:
        self.kafka = kafka
        self.settings = cluster_settings(kafka, redis, provider)
        self.folder = folder
        self._own_names = {
            "llm-requests": "KAFKA_REQUEST_TOPIC",
            "llm-results": "KAFKA_RESULT_TOPIC",
            "llm-metrics": "KAFKA_METRICS_TOPIC",
            "llm-errors": "KAFKA_ERROR_TOPIC",
            "llm-requests.dlq": "KAFKA_DEAD_LETTER_TOPIC",
            "llm-workers": "KAFKA_CONSUMER_GROUP",
        }

    def _own_name(self, name: str) -> str:
        """Lanes are called after the normal one."""
        lane = next((lane for lane in (".high", ".low") if name.endswith(lane)), "")
        return self.settings[self._own_names[name.removesuffix(lane)]] + lane

    @property
    def topics(self) -> list[str]:
        named = [value for name, value in self.settings.items() if name.endswith("_TOPIC")]
        return sorted({*named, *lanes_of(self.settings["KAFKA_REQUEST_TOPIC"]).values()})

    async def create_topics(self) -> None:
        await ensure_topics(self.kafka.bootstrap_servers, self.topics, partitions=2, replication_factor=1)

    def acls(self, who: str) -> list[Acl]:
        """The documented ones, on what this scene uses."""
        return [acl._replace(name=self._own_name(acl.name)) for acl in documented_acls(who)]

    async def allow(self, principal: str, acls: list[Acl]) -> None:
        await allow(self.kafka.bootstrap_servers, f"User:{principal}", acls)

    async def forbid(self, principal: str, acls: list[Acl]) -> None:
        await forbid(self.kafka.bootstrap_servers, f"User:{principal}", acls)

    async def describe_alone(self, principal: str) -> None:
        await self.allow(principal, [Acl("DESCRIBE", "topic", topic) for topic in self.topics])

    def start_refused(self, program: str, settings: dict[str, str]) -> str:
        """What a process that cannot start says, in one line."""
        environment = clean_environment(
            **self.settings | settings, LLM_PORT="0", WORKER_HEALTH_PORT="0", LLM_LOG_FILE="events.jsonl"
        )
        done = subprocess.run(
            [sys.executable, "-m", program],
            env=environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode not in {0, None}
        said = done.stdout + done.stderr
        assert CANARY not in said
        assert "Traceback" not in said
        lines = [line for line in said.splitlines() if "Kafka" in line]
        assert len(lines) == 1, said
        return lines[0]


@pytest.fixture
async def scene(
    secured_kafka: SecuredKafka, any_redis: AnyRedis, provider: ScriptedProvider, tmp_path: Path
) -> Scene:
    scene = Scene(secured_kafka, any_redis, provider, tmp_path)
    await scene.create_topics()
    return scene


@contextmanager
def running(scene: Scene, as_gateway: dict[str, str], as_worker: dict[str, str]) -> Iterator[str]:
    with ExitStack() as stack:
        service = stack.enter_context(gateway(scene.folder, **scene.settings | as_gateway))
        stack.enter_context(worker(scene.folder, **scene.settings | as_worker))
        yield service.url


async def assert_whole_flow(scene: Scene, url: str, as_operator: dict[str, str]) -> None:
    """A job to its end, and a record that dies, is listed, and sent back."""
    assert (await ask(url)).json()["success"]
    brokers, settings = scene.kafka.bootstrap_servers, scene.settings | as_operator
    await produce(brokers, settings["KAFKA_REQUEST_TOPIC"], b"no json")
    async with asyncio.timeout(30):
        while (await dead_letters(scene, settings, "list")).code != 0:
            pass
    redriven = await dead_letters(scene, settings, "redrive", "--yes", "--reason", "INVALID_JSON")
    assert redriven.code == 0, redriven
    assert "redriven: 1 of 1" in redriven.out


async def ask(url: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        return await http.post("/invoke", json={"user_prompt": "What is the capital of France?"})


async def dead_letters(scene: Scene, settings: dict[str, str], *words: str) -> Finished:
    return await run_dead_letters(*words, folder=scene.folder, settings=settings)


async def test_a_password_and_the_documented_rights_are_enough(scene: Scene) -> None:
    for user in ("gateway", "worker", "operator"):
        await scene.allow(user, scene.acls(user))
    as_gateway, as_worker = scene.kafka.with_password("gateway"), scene.kafka.with_password("worker")
    with running(scene, as_gateway, as_worker) as url:
        await assert_whole_flow(scene, url, scene.kafka.with_password("operator"))
        async with asyncio.timeout(30):  # the reader of results is a client too
            while "results_restored" not in log_of(scene, "worker"):
                await asyncio.sleep(0.05)
    assert CANARY not in log_of(scene, "gateway") + log_of(scene, "worker")


def log_of(scene: Scene, name: str) -> str:
    return (scene.folder / f"{name}.log").read_text()


async def test_so_is_a_certificate(scene: Scene) -> None:
    for user in ("gateway", "worker", "operator"):
        await scene.allow(f"CN={user}", scene.acls(user))
    as_gateway, as_worker = scene.kafka.with_certificate("gateway"), scene.kafka.with_certificate("worker")
    with running(scene, as_gateway, as_worker) as url:
        await assert_whole_flow(scene, url, scene.kafka.with_certificate("operator"))


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
async def test_other_mechanisms_sign_in_too(scene: Scene, mechanism: str) -> None:
    user = "gateway"
    await scene.allow(user, scene.acls("gateway"))
    settings = scene.kafka.with_password(user, mechanism, "SASL_PLAINTEXT")
    with gateway(scene.folder, **scene.settings | settings) as service:
        async with httpx.AsyncClient(base_url=service.url) as http:
            assert (await http.get("/health/ready")).status_code == 200


@pytest.mark.parametrize("program", ["gateway", "worker"])
async def test_every_right_that_is_missing_is_named_at_once(scene: Scene, program: str) -> None:
    await scene.describe_alone("nobody")
    line = scene.start_refused(program, scene.kafka.with_password("nobody"))
    assert "Kafka gives user 'nobody' no" in line
    for right, kind, name in scene.acls(program):
        assert kind == "group" or f"no {right} on topic {name}" in line


async def test_the_right_on_the_group_is_named(scene: Scene) -> None:
    await scene.allow("nobody", [acl for acl in scene.acls("worker") if acl.kind == "topic"])
    line = scene.start_refused("worker", scene.kafka.with_password("nobody"))
    assert f"no READ on group {scene.settings['KAFKA_CONSUMER_GROUP']}" in line


async def test_the_dead_letter_command_names_the_right_before_it_does_anything(scene: Scene) -> None:
    settings = scene.settings | scene.kafka.with_password("operator")
    listed = await dead_letters(scene, settings, "list")
    dead = scene.settings["KAFKA_DEAD_LETTER_TOPIC"]
    assert (listed.code, listed.err) == (1, f"Kafka gives user 'operator' no READ on topic {dead}\n")

    reading, *_ = [acl for acl in scene.acls("operator") if acl.right == "READ"]
    await scene.allow("operator", [reading, Acl("DESCRIBE", "topic", scene.settings["KAFKA_REQUEST_TOPIC"])])
    with worker(scene.folder, **scene.settings):
        await produce(scene.kafka.bootstrap_servers, scene.settings["KAFKA_REQUEST_TOPIC"], b"no json")
        async with asyncio.timeout(30):
            while (await dead_letters(scene, settings, "list")).code != 0:
                pass
    redriven = await dead_letters(scene, settings, "redrive", "--yes")
    assert redriven.code == 1
    assert f"no WRITE on topic {dead}" in redriven.err


@pytest.mark.parametrize("program", ["gateway", "worker"])
async def test_a_wrong_password_ends_the_start(scene: Scene, program: str) -> None:
    settings = scene.kafka.with_password("worker") | {"KAFKA_SASL_PASSWORD": f"{CANARY}-wrong"}
    line = scene.start_refused(program, settings)
    assert "refuses KAFKA_SASL_USERNAME='worker' with its KAFKA_SASL_PASSWORD" in line


async def test_to_the_dead_letter_command_too(scene: Scene) -> None:
    settings = scene.kafka.with_password("worker") | {"KAFKA_SASL_PASSWORD": f"{CANARY}-wrong"}
    listed = await dead_letters(scene, scene.settings | settings, "list")
    assert listed.code == 1
    (line,) = listed.err.splitlines()
    assert "refuses KAFKA_SASL_USERNAME='worker' with its KAFKA_SASL_PASSWORD" in line


async def test_a_right_that_is_withdrawn_is_named_to_the_caller_and_in_the_workers_log(scene: Scene) -> None:
    for user in ("gateway", "worker"):
        await scene.allow(user, scene.acls(user))
    as_gateway, as_worker = scene.kafka.with_password("gateway"), scene.kafka.with_password("worker")
    requests = scene.settings["KAFKA_REQUEST_TOPIC"]
    with ExitStack() as stack:
        service = stack.enter_context(gateway(scene.folder, **scene.settings | as_gateway))
        running = stack.enter_context(worker(scene.folder, **scene.settings | as_worker))
        for user, right in (("gateway", "WRITE"), ("worker", "READ")):
            await scene.forbid(user, [Acl(right, "topic", requests)])
            await scene.allow(user, [Acl("DESCRIBE", "topic", requests)])
        refused = await ask(service.url)
        assert refused.status_code == 503
        assert f"Kafka gives no WRITE on topic {requests}" in refused.json()["error"]["message"]
        async with asyncio.timeout(30):
            while not (lines := logged(running, "records_not_read")):
                await asyncio.sleep(0.05)
        assert lines[0]["fault"] == f"Kafka gives no READ on topic {requests}"
