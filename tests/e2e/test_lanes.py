"""Lanes on real processes: who floods one of them neither holds up the urgent nor stops the others."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest

from tests.e2e.conftest import cluster_settings, provider_settings
from tests.support.dead_letter_topic import run_dead_letters
from tests.support.provider_ledger import Call
from tests.support.provider_process import ScriptedProvider
from tests.support.server import AnyKafka, AnyRedis
from tests.support.service_processes import gateway, one_process, worker
from tests.support.topics import produce, read_until

SLOTS, WINDOW = 2, 4
NARROW = {"WORKER_CONCURRENCY": f"{SLOTS}", "WORKER_WINDOW_JOBS": f"{WINDOW}"}
FLOOD = 60
CALL_MS = 100


@dataclass(frozen=True)
class Narrow:
    """A service with room for two calls."""

    url: str
    settings: dict[str, str]

    def place(self, name: str, lane: str = "") -> tuple[str, str]:
        """Brokers, and a topic on them."""
        return self.settings["KAFKA_BOOTSTRAP_SERVERS"], self.settings[f"KAFKA_{name}_TOPIC"] + lane


@pytest.fixture(scope="module")
def distributed(
    apache_kafka: AnyKafka, any_redis: AnyRedis, _provider: ScriptedProvider, module_folder: Path
) -> Iterator[Narrow]:
    settings = cluster_settings(apache_kafka, any_redis, _provider) | NARROW
    with gateway(module_folder, **settings) as service, worker(module_folder, **settings):
        yield Narrow(service.url, settings)


@pytest.fixture(scope="module")
def in_one_process(_provider: ScriptedProvider, module_folder: Path) -> Iterator[Narrow]:
    settings = provider_settings(_provider) | {"REDIS_ENABLED": "false"} | NARROW
    with one_process(module_folder, **settings) as service:
        yield Narrow(service.url, settings)


@pytest.fixture(params=["in_one_process", "distributed"])
def narrow(request: pytest.FixtureRequest) -> Narrow:
    found: Narrow = request.getfixturevalue(request.param)
    return found


async def submit(narrow: Narrow, priority: str, count: int) -> list[str]:
    """Jobs whose prompts begin with their priority; their ids."""
    async with httpx.AsyncClient(base_url=narrow.url, timeout=60) as http:
        bodies = [{"request_id": str(uuid4()), "user_prompt": f"{priority} {n}"} for n in range(count)]
        headers = {"X-Priority": priority}
        answers = await asyncio.gather(*(http.post("/submit", json=body, headers=headers) for body in bodies))
    assert [answer.status_code for answer in answers] == [202] * count
    return [body["request_id"] for body in bodies]


async def results(narrow: Narrow, ids: list[str]) -> list[dict[str, Any]]:
    """In whatever lane they wait, all of them end."""
    async with httpx.AsyncClient(base_url=narrow.url, timeout=120) as http:
        answers = await asyncio.gather(*(http.get(f"/result/{each}?wait=60") for each in ids))
    told = [answer.json() for answer in answers]
    assert all(each["success"] for each in told)
    return told


async def begun(provider: ScriptedProvider, count: int) -> None:
    async with asyncio.timeout(30):
        while provider.count() < count:
            await asyncio.sleep(0.01)


def numbers(calls: list[Call], priority: str) -> list[int]:
    return [call.number - calls[0].number for call in calls if call.message.startswith(priority)]


@pytest.mark.campaign
async def test_a_flood_of_low_jobs_holds_no_urgent_one_up(narrow: Narrow, provider: ScriptedProvider) -> None:
    # Given far more low jobs than there is room for
    provider.script(latency_ms=CALL_MS)
    low = await submit(narrow, "low", FLOOD)
    await begun(provider, 2 * WINDOW)
    # When an urgent job comes
    before = provider.count()
    high = await submit(narrow, "high", 1)
    await results(narrow, high)
    # Then few of the others begin before it does: those that had a slot, and the one at the door
    [number] = numbers(provider.ledger(), "high")
    assert number - before <= WINDOW + SLOTS
    # And all of them are answered, once
    await results(narrow, low)
    assert provider.count() == FLOOD + 1


@pytest.mark.campaign
async def test_a_flood_of_high_jobs_does_not_stop_the_low_ones(
    narrow: Narrow, provider: ScriptedProvider
) -> None:
    # Given far more urgent jobs than there is room for
    provider.script(latency_ms=CALL_MS)
    high = await submit(narrow, "high", FLOOD)
    # When a few of the others come
    low = await submit(narrow, "low", 3)
    normal = await submit(narrow, "normal", 3)
    await results(narrow, [*low, *normal, *high])
    # Then they moved on while urgent ones waited, the normal ones before the low
    calls = provider.ledger()
    last_high = max(numbers(calls, "high"))
    assert max(numbers(calls, "low")) < last_high
    assert max(numbers(calls, "normal")) < max(numbers(calls, "low"))
    assert len(calls) == FLOOD + 6


async def test_who_produces_to_a_lane_is_in_it(distributed: Narrow, provider: ScriptedProvider) -> None:
    # Given a flood by direct producers, and an urgent record
    provider.script(latency_ms=CALL_MS)
    for number in range(30):
        await record(distributed, ".low", f"low {number}")
    await begun(provider, WINDOW)
    urgent = await record(distributed, ".high", "high 0")
    # When it is answered, then the flood still waits
    await result_of(distributed, urgent)
    assert provider.count() < 30
    # And the facts tell the lane, and where the record stood
    fact = await read_until(
        *distributed.place("METRICS"),
        lambda each: (
            (told := orjson.loads(each.value))["event"] == "job_finished" and told["request_id"] == urgent
        ),
    )
    told = orjson.loads(fact.value)
    assert (told["priority"], told["topic"]) == ("high", distributed.place("REQUEST", ".high")[1])
    await begun(provider, 31)


async def test_a_redriven_record_goes_back_to_its_lane(distributed: Narrow, tmp_path: Path) -> None:
    # Given a record of the low lane that a worker refused
    key = uuid4().hex.encode()
    await produce(*distributed.place("REQUEST", ".low"), b"no json", key=key)
    first = await letter(distributed, key, redrives=None)
    # When it is redriven, and refused again
    position = f"{first.partition}/{first.offset}"
    settings = {name: value for name, value in distributed.settings.items() if not name.startswith("OPENAI_")}
    done = await run_dead_letters("redrive", position, "--yes", folder=tmp_path, settings=settings)
    assert done.code == 0, done
    second = await letter(distributed, key, redrives=b"1")
    # Then it came from the same lane
    assert dict(second.headers)["dlq_topic"].decode() == distributed.place("REQUEST", ".low")[1]


async def record(narrow: Narrow, lane: str, prompt: str) -> str:
    request_id = str(uuid4())
    value = orjson.dumps({"request_id": request_id, "user_prompt": prompt})
    await produce(*narrow.place("REQUEST", lane), value, key=request_id.encode())
    return request_id


async def result_of(narrow: Narrow, request_id: str) -> None:
    async with httpx.AsyncClient(base_url=narrow.url, timeout=60) as http, asyncio.timeout(60):
        while (await http.get(f"/result/{request_id}?wait=30")).status_code != 200:
            await asyncio.sleep(0.01)  # nobody knows the id before a worker has the record


async def letter(narrow: Narrow, key: bytes, redrives: bytes | None) -> Any:
    return await read_until(
        *narrow.place("DEAD_LETTER"),
        lambda each: each.key == key and dict(each.headers).get("dlq_redrives") == redrives,
    )
