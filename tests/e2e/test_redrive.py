"""Dead letters back through a running cluster."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson

from tests.e2e.conftest import Cluster
from tests.support.dead_letter_topic import run_dead_letters
from tests.support.topics import produce, read_until


async def test_a_record_that_dies_twice_tells_of_its_second_death(cluster: Cluster, tmp_path: Path) -> None:
    # Given a record that a worker refused
    key = uuid4().hex.encode()
    await produce(*_topic(cluster, "REQUEST"), b"no json", key=key, headers=[("mine", b"1")])
    first = await _dead_letter(cluster, key, redrives=None)
    # When it is redriven, and the worker refuses it again
    position = f"{first.partition}/{first.offset}"
    done = await run_dead_letters("redrive", position, "--yes", folder=tmp_path, settings=_settings(cluster))
    assert done.code == 0, done
    second = await _dead_letter(cluster, key, redrives=b"1")
    # Then the new letter is the original with one reason
    assert (second.value, dict(second.headers)["mine"]) == (b"no json", b"1")
    assert [name for name, _ in second.headers] == [name for name, _ in first.headers] + ["dlq_redrives"]
    assert dict(second.headers)["dlq_offset"] != dict(first.headers)["dlq_offset"]


async def test_a_job_that_killed_its_workers_runs_under_a_new_id(cluster: Cluster, tmp_path: Path) -> None:
    # Given the letter of a job whose failure is final
    request_id = str(uuid4())
    value = orjson.dumps({"schema": 1, "request_id": request_id, "user_prompt": "not my fault"})
    headers = [("dlq_reason", b"TOO_MANY_RUNS"), ("dlq_topic", _topic(cluster, "REQUEST")[1].encode())]
    letter = await produce(*_topic(cluster, "DEAD_LETTER"), value, headers=headers)
    # When it is redriven under a new id
    position = f"{letter.partition}/{letter.offset}"
    arguments = ["redrive", position, "--yes", "--new-ids", "--allow-paid-again"]
    done = await run_dead_letters(*arguments, folder=tmp_path, settings=_settings(cluster))
    assert done.code == 0, done
    new_id = done.out.split(f"{request_id} -> ")[1].split()[0]
    # Then that id has its answer, which nobody else asked for
    async with httpx.AsyncClient(base_url=cluster.url, timeout=60) as http, asyncio.timeout(60):
        response = await http.get(f"/result/{new_id}", params={"wait": "30"})
        while response.status_code == 404:  # nobody knows the id before a worker has the record
            response = await http.get(f"/result/{new_id}", params={"wait": "30"})
    assert response.json()["data"]["response"] == "echo: not my fault"


def _topic(cluster: Cluster, name: str) -> tuple[str, str]:
    return cluster.settings["KAFKA_BOOTSTRAP_SERVERS"], cluster.settings[f"KAFKA_{name}_TOPIC"]


def _settings(cluster: Cluster) -> dict[str, str]:
    """An operator has no provider key."""
    return {name: value for name, value in cluster.settings.items() if not name.startswith("OPENAI_")}


async def _dead_letter(cluster: Cluster, key: bytes, redrives: bytes | None) -> Any:
    return await read_until(
        *_topic(cluster, "DEAD_LETTER"),
        lambda record: record.key == key and dict(record.headers).get("dlq_redrives") == redrives,
    )
