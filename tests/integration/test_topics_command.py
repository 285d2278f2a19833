"""`python -m worker.topics` as a Job runs it."""

import asyncio
import sys
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from shared.adapters.kafka_topics import RESULT_PARTITIONS
from shared.domain.priority import lanes_of
from tests.support.ports import free_port
from tests.support.server import AnyKafka
from tests.support.service_processes import clean_environment

NAMES = ("REQUEST", "RESULT", "METRICS", "ERROR", "DEAD_LETTER")


async def run(folder: Path, *arguments: str, **settings: str) -> tuple[int, str]:
    """Its exit code, and what it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "worker.topics", *arguments),
        env=clean_environment(**settings),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode is not None
    return process.returncode, said.decode()


async def partitions(kafka: AnyKafka, topics: list[str]) -> dict[str, int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        described = await admin.describe_topics(topics)
    finally:
        await admin.close()
    return {each["topic"]: len(each["partitions"]) for each in described if not each["error_code"]}


async def test_it_makes_every_topic_once_and_leaves_those_there_are(kafka: AnyKafka, tmp_path: Path) -> None:
    # Given names that no broker knows
    own = uuid4().hex[:8]
    names = {f"KAFKA_{name}_TOPIC": f"{name.lower()}-{own}" for name in NAMES}
    settings = {**names, "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers, "KAFKA_REQUEST_PARTITIONS": "4"}
    # When it runs
    code, said = await run(tmp_path, **settings)
    # Then all of them are there, and one line says so
    assert code == 0, said
    line = orjson.loads(said)
    wanted = {*names.values(), *lanes_of(names["KAFKA_REQUEST_TOPIC"]).values()}
    assert (line["event"], set(line["topics"])) == ("topics_exist", wanted)
    made = dict.fromkeys(wanted, 4) | {names["KAFKA_RESULT_TOPIC"]: RESULT_PARTITIONS}
    assert await partitions(kafka, list(wanted)) == made
    # And again, as after an upgrade that wants more partitions: what is there stays
    code, said = await run(tmp_path, **settings | {"KAFKA_REQUEST_PARTITIONS": "5"})
    assert code == 0, said
    assert await partitions(kafka, list(wanted)) == made


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"KAFKA_REQUEST_PARTITIONS": "0"}, "KAFKA_REQUEST_PARTITIONS"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "nowhere"}, "KAFKA_BOOTSTRAP_SERVERS"),
    ],
)
async def test_a_wrong_setting_is_named_in_one_line(
    tmp_path: Path, settings: dict[str, str], told: str
) -> None:
    code, said = await run(tmp_path, **settings)
    assert code != 0
    [line] = said.splitlines()
    assert told in line


async def test_its_settings_can_be_checked_without_a_broker(tmp_path: Path) -> None:
    code, said = await run(tmp_path, "--check", KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port()}")
    assert code == 0
    assert "KAFKA_REQUEST_PARTITIONS=24" in said
