"""Records that can never become a result: dead-lettered as they came, told, and the partition moves on."""

import json
from collections.abc import Sequence
from uuid import uuid4

import httpx
import orjson
import pytest

from tests.e2e.conftest import Cluster
from tests.support.topics import produce, read_until

CANARY = "sk-CANARY-1234567890"


def record(**body: object) -> bytes:
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"\x00\xffno json", "INVALID_JSON"),
        (None, "INVALID_JSON"),
        (record(schema=2, request_id=str(uuid4()), words="of the future"), "UNSUPPORTED_SCHEMA"),
        (record(schema=1, request_id=str(uuid4())), "MISSING_FIELD"),
        (record(schema=1, user_prompt="who am I"), "MISSING_FIELD"),
        (record(schema=1, request_id=str(uuid4()), user_prompt="x", temperature="hot"), "INVALID_FIELD"),
        (record(schema=1, request_id=str(uuid4()), user_prompt="x", model="gpt-9"), "UNSUPPORTED_MODEL"),
    ],
    ids=["no json", "no value", "newer", "no prompt", "no id", "wrong field", "unknown model"],
)
async def test_a_bad_record_is_dead_lettered_with_its_bytes_headers_and_reason(
    cluster: Cluster, value: bytes | None, reason: str
) -> None:
    # Given a bad record with a header of its own
    brokers, settings = cluster.settings["KAFKA_BOOTSTRAP_SERVERS"], cluster.settings
    mark = uuid4().hex.encode()
    headers = [("producer", mark), ("broken", b"\xff\xfe")]
    sent = await produce(brokers, settings["KAFKA_REQUEST_TOPIC"], value, key=mark, headers=headers)
    # Then it stands on the dead letter topic as it came
    dead = await read_until(brokers, settings["KAFKA_DEAD_LETTER_TOPIC"], lambda record: record.key == mark)
    assert dead.value == value
    found = dict(dead.headers)
    assert (found["producer"], found["broken"]) == (mark, b"\xff\xfe")
    assert found["dlq_reason"].decode() == reason
    assert found["dlq_offset"] == str(sent.offset).encode()
    # And the failure is told, with its origin and no secret
    told = await read_until(
        brokers,
        settings["KAFKA_ERROR_TOPIC"],
        lambda record: _origin(record.value) == (sent.partition, sent.offset),
    )
    assert orjson.loads(told.value)["error"]["error_code"] == reason
    assert b"CANARY" not in told.value
    assert "CANARY" not in cluster.worker.log()
    # And the partition moves on
    request_id = str(uuid4())
    good = record(schema=1, request_id=request_id, user_prompt="after it")
    await produce(brokers, settings["KAFKA_REQUEST_TOPIC"], good, key=mark)
    assert _answer(cluster, request_id) == "echo: after it"


@pytest.mark.parametrize(
    "headers", [[], [("ce_time", b"\xff")], [("ce_expirytime", b"never")]], ids=["none", "binary", "wrong"]
)
async def test_a_direct_producer_needs_no_headers(
    cluster: Cluster, headers: Sequence[tuple[str, bytes]]
) -> None:
    request_id = str(uuid4())
    value = record(request_id=request_id, user_prompt="straight to the topic")
    brokers = cluster.settings["KAFKA_BOOTSTRAP_SERVERS"]
    await produce(brokers, cluster.settings["KAFKA_REQUEST_TOPIC"], value, headers=headers)
    assert _answer(cluster, request_id) == "echo: straight to the topic"


async def test_metrics_tell_one_fact_a_call_and_one_a_job_and_no_content(cluster: Cluster) -> None:
    prompt = f"{uuid4()} [[status=500 times=1]]"
    request_id = str(uuid4())
    body = {"user_prompt": prompt, "request_id": request_id}
    async with httpx.AsyncClient(base_url=cluster.url, timeout=60) as http:
        await http.post("/invoke", json=body)
    facts = []

    def is_last(record: object) -> bool:
        fact = orjson.loads(record.value)  # type: ignore[attr-defined]
        if fact["request_id"] == request_id:
            facts.append(fact)
        return bool(facts) and facts[-1]["event"] == "job_finished"

    brokers = cluster.settings["KAFKA_BOOTSTRAP_SERVERS"]
    await read_until(brokers, cluster.settings["KAFKA_METRICS_TOPIC"], is_last)
    assert [(fact["event"], fact.get("outcome")) for fact in facts] == [
        ("provider_called", "UPSTREAM_UNAVAILABLE"),
        ("provider_called", "succeeded"),
        ("job_finished", None),
    ]
    assert prompt not in str(facts)
    assert facts[-1]["completion_tokens"] > 0


def test_a_callers_key_is_refused_in_distributed_mode_and_appears_nowhere(cluster: Cluster) -> None:
    request_id = str(uuid4())
    body = {"user_prompt": "with a key", "request_id": request_id, "openai_api_key": CANARY}
    response = httpx.post(f"{cluster.url}/invoke", json=body)
    assert response.status_code == 400
    assert response.json()["error"]["error_code"] == "API_KEY_NOT_ACCEPTED"
    assert "CANARY" not in response.text
    assert "CANARY" not in cluster.gateways[0].child.log()
    # And the id is still free
    del body["openai_api_key"]
    assert httpx.post(f"{cluster.url}/invoke", json=body, timeout=60).status_code == 200


def _answer(cluster: Cluster, request_id: str) -> str:
    with httpx.Client(base_url=cluster.url, timeout=60) as http:
        response = http.get(f"/result/{request_id}", params={"wait": "0"})
        while response.status_code == 404:  # nobody knows the id before a worker has the record
            response = http.get(f"/result/{request_id}", params={"wait": "0"})
        if response.status_code == 202:
            response = http.get(f"/result/{request_id}", params={"wait": "30"})
        answer: str = response.json()["data"]["response"]
        return answer


def _origin(value: bytes) -> tuple[int, int]:
    fact = orjson.loads(value)
    return fact["partition"], fact["offset"]
