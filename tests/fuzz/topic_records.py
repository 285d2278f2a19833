"""Whatever stands on the topic: the worker lives, every partition goes on, what is bad is kept as it came."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from hypothesis import strategies as st

from tests.e2e.conftest import cluster_settings
from tests.fuzz.generation import cases
from tests.fuzz.json_texts import KEY_CANARY, MARK
from tests.fuzz.records import Sent, records, valid_value
from tests.fuzz.report import Findings, counted
from tests.fuzz.topics import Origin, Topics, connect_topics
from tests.fuzz.written import search_written
from tests.support.processes import Child
from tests.support.provider_process import ScriptedProvider
from tests.support.server import AnyKafka, AnyRedis
from tests.support.service_processes import gateway, worker
from worker.dead_letters.headers import PREFIX

_BATCH = 400
_KEY = re.compile(rb"(?<![A-Za-z0-9])" + KEY_CANARY.encode())
"""The planted key where one can be told: the end of a longer word is none, nor is a piece of one."""
_ANSWER_SECONDS = 60.0


@dataclass(frozen=True)
class Fuzzed:
    """A worker, and a gateway to read its answers from."""

    settings: dict[str, str]
    worker: Child
    url: str
    folder: Path


@contextmanager
def fuzzed_worker(
    kafka: AnyKafka, redis: AnyRedis, provider: ScriptedProvider, folder: Path
) -> Iterator[Fuzzed]:
    settings = cluster_settings(kafka, redis, provider)
    with gateway(folder, **settings) as service, worker(folder, **settings) as running:
        yield Fuzzed(settings, running, service.url, folder)


def fuzz_records(fuzzed: Fuzzed, count: int, seed: int) -> Findings:
    findings = Findings("topic records")
    wanted = counted(cases(st.tuples(st.integers(0, 3), records()), count, seed), findings)
    asyncio.run(_fuzz(fuzzed, wanted, findings))
    search_written(fuzzed.folder, findings)
    return findings


async def _fuzz(fuzzed: Fuzzed, wanted: Iterator[tuple[int, Sent]], findings: Findings) -> None:
    async with connect_topics(fuzzed.settings) as topics, httpx.AsyncClient(base_url=fuzzed.url) as http:
        while batch := list(islice(wanted, _BATCH)):
            sent, sentinels = await _send(topics, batch)
            for request_id in sentinels:
                await _expect_answer(http, request_id, findings)
            if not await topics.wait_until_committed(_ANSWER_SECONDS):
                findings.add("offsets are not committed", f"after {findings.cases} records")
                return
            if not fuzzed.worker.is_alive():
                findings.add("the worker died", fuzzed.worker.log()[-2000:])
                return
            _judge(sent, await topics.read_new(), topics, findings)


async def _send(topics: Topics, batch: Sequence[tuple[int, Sent]]) -> tuple[dict[Origin, Sent], list[str]]:
    """The batch over all partitions, and a good job behind it on each."""
    sent: dict[Origin, Sent] = {}
    sentinels = []
    for partition in await topics.partitions():
        sentinels.append(str(uuid4()))
        last = Sent(None, valid_value(sentinels[-1]), (), None, "valid")
        mine = [record for number, record in batch if number == partition]
        sent |= await topics.send([*mine, last], partition)
    return sent, sentinels


async def _expect_answer(http: httpx.AsyncClient, request_id: str, findings: Findings) -> None:
    """Before a worker has the record nobody knows its id."""
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            while True:
                response = await http.get(f"/result/{request_id}", params={"wait": "5"}, timeout=30)
                if response.status_code == 200:
                    return
                await asyncio.sleep(0.02)
    except TimeoutError:
        findings.add("a partition stands still", f"{request_id}: {response.status_code} {response.text}")


def _judge(sent: dict[Origin, Sent], came_out: list[Any], topics: Topics, findings: Findings) -> None:
    dead: dict[Origin, Any] = {}
    for record in came_out:
        if record.topic == topics.error_topic:
            if MARK.encode() in record.value:
                findings.add("an error fact holds a key", repr(record.value))
            continue
        origin = _origin(record)
        dead[origin] = record
        if origin not in sent:
            findings.add("a dead letter of nothing", repr(record)[:900])
    for origin, record in sent.items():
        for fault in _faults(record, dead.get(origin)):
            findings.add(fault, f"{origin} {record!r:.900}\n{dead.get(origin)!r:.900}")


def _origin(record: Any) -> Origin:
    """Where it came from; the record's own `dlq_*` headers are left out."""
    told = dict(record.headers)
    return int(told["dlq_partition"]), int(told["dlq_offset"])


def _buried_value(sent: Sent) -> bytes | None:
    """A record needs a key or a value to be sent."""
    return b"" if sent.key is None and sent.value is None else sent.value


def _is_kept(sent: bytes | None, dead: bytes | None) -> bool:
    """As it came; what looks like a key is not repeated."""
    return dead == sent or (sent is not None and b"sk-" in sent and dead is not None)


def _is_value_kept(sent: Sent, dead: Any) -> bool:
    """As it came, or left out and said so, where there may have been a key."""
    value = _buried_value(sent)
    if dead.value == value:
        return True
    may_hold_key = any(word in (value or b"") for word in (b"sk-", b"openai_api_key", b"\\u"))
    told = dict(dead.headers)
    is_said = "dlq_held_key" in told and told.get("dlq_left_out") == str(len(value or b"")).encode()
    return may_hold_key and dead.value == b"" and is_said


def _faults(sent: Sent, dead: Any) -> list[str]:
    if dead is None:
        return ["a bad record is not on the dead letter topic"] if sent.kind == "bad" else []
    found = []
    if sent.kind == "valid":
        found.append("a valid record is on the dead letter topic")
    kept = [(name, value) for name, value in sent.headers if not name.startswith(PREFIX)]
    if not _is_kept(sent.key, dead.key) or not _is_value_kept(sent, dead):
        found.append("a dead letter has another key or value")
    headers = list(zip(kept, dead.headers, strict=False))
    if len(headers) < len(kept) or not all(
        its[0] == had[0] and _is_kept(had[1], its[1]) for had, its in headers
    ):
        found.append("a dead letter has other headers")
    if any(_KEY.search(part or b"") for part in (dead.key, dead.value, *dict(dead.headers).values())):
        found.append("a dead letter holds a key")
    if dict(dead.headers)["dlq_reason"] == b"INTERNAL_ERROR":
        found.append("a record crashed its handler")
    return found
