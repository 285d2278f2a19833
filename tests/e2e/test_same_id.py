"""The same `request_id` again: every row of the table, over HTTP and over the topic."""

import asyncio
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import openai
import orjson
import pytest

from tests.e2e.conftest import Cluster
from tests.support.provider_process import ScriptedProvider
from tests.support.topics import produce, read_until


def body_of(directive: str = "", **more: object) -> dict[str, object]:
    return {"user_prompt": f"{uuid4()} {directive}", "request_id": str(uuid4()), **more}


def post(http: httpx.Client, body: dict[str, object], **headers: str) -> httpx.Response:
    return http.post("/invoke", json=body, headers=headers)


def code_of(response: httpx.Response) -> str:
    code: str = response.json()["error"]["error_code"]
    return code


# --- HTTP: what is stored, and what the same id is answered ---


def test_finished_well_is_replayed(http: httpx.Client, provider: ScriptedProvider) -> None:
    body = body_of()
    first, again = post(http, body), post(http, body)
    assert (first.status_code, first.json()["cached"]) == (200, False)
    assert "idempotent-replayed" not in first.headers
    assert (again.status_code, again.json()["cached"]) == (200, True)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json()["data"] == first.json()["data"]
    assert len(provider.calls_of(str(body["user_prompt"]))) == 1


def test_running_is_joined_unless_the_caller_is_strict(
    http: httpx.Client, provider: ScriptedProvider
) -> None:
    body = body_of("[[latency_ms=1500]]")
    assert http.post("/submit", json=body).status_code == 202
    strict = post(http, body, Prefer="handling=strict")
    assert (strict.status_code, code_of(strict)) == (409, "REQUEST_IN_PROGRESS")
    assert int(strict.headers["retry-after"]) >= 1  # and no x-should-retry: coming back helps
    assert "x-should-retry" not in strict.headers
    joined = post(http, body)
    assert (joined.status_code, joined.json()["cached"]) == (200, False)
    assert len(provider.calls_of(str(body["user_prompt"]))) == 1


@pytest.mark.parametrize(
    ("directive", "calls", "status"),
    [
        ("[[status=500 times=5]]", 5, 503),
        ("[[status=429 retry_after=0.05 times=5]]", 5, 429),
        ("[[status=401 times=1]]", 1, 401),
        ("[[status=429 code=insufficient_quota times=1]]", 1, 429),
    ],
)
def test_failed_in_a_way_that_may_pass_runs_again(
    http: httpx.Client, provider: ScriptedProvider, directive: str, calls: int, status: int
) -> None:
    body = body_of(directive)
    assert post(http, body).status_code == status
    again = post(http, body)
    assert (again.status_code, again.json()["performance"]["attempts"]) == (200, calls + 1)
    assert "idempotent-replayed" not in again.headers
    assert len(provider.calls_of(str(body["user_prompt"]))) == calls + 1


@pytest.mark.parametrize(
    ("directive", "code"),
    [
        ("[[status=400 code=context_length_exceeded]]", "CONTEXT_TOO_LONG"),
        ("[[status=400 code=content_policy_violation]]", "CONTENT_POLICY"),
        ("[[status=400]]", "UPSTREAM_REJECTED"),
    ],
)
def test_failed_for_good_is_the_stored_failure(
    http: httpx.Client, provider: ScriptedProvider, directive: str, code: str
) -> None:
    body = body_of(directive)
    first, again = post(http, body), post(http, body)
    for response in (first, again):
        assert (response.status_code, code_of(response)) == (400, code)
    assert again.headers["idempotent-replayed"] == "true"
    assert len(provider.calls_of(str(body["user_prompt"]))) == 1


@pytest.mark.parametrize("stored", ["finished", "running", "failed"])
def test_another_body_is_a_conflict(http: httpx.Client, stored: str) -> None:
    directive = {"finished": "", "running": "[[latency_ms=800]]", "failed": "[[status=400]]"}[stored]
    body = body_of(directive)
    http.post("/submit" if stored == "running" else "/invoke", json=body)
    for change in ({"user_prompt": "else"}, {"temperature": 0.1}, {"system_prompt": "be brief"}):
        other = post(http, body | change)
        assert (other.status_code, code_of(other)) == (409, "DUPLICATE_REQUEST_ID")
        assert other.headers["x-should-retry"] == "false"
    # But transport options are no other body
    assert post(http, body | {"deadline_seconds": 77}).status_code in (200, 400)


def test_another_key_is_a_conflict(memory_only: Any) -> None:
    body = body_of(openai_api_key="sk-one")
    with httpx.Client(base_url=memory_only.url, timeout=60) as http:
        assert post(http, body).status_code == 200
        for other in ({**body, "openai_api_key": "sk-two"}, {**body, "openai_api_key": None}):
            assert code_of(post(http, other)) == "DUPLICATE_REQUEST_ID"


def cancelled(http: httpx.Client) -> dict[str, object]:
    body = body_of("[[latency_ms=30000]]")
    accepted = http.post("/submit", json=body).json()
    http.post(accepted["cancel_url"])
    assert http.get(accepted["status_url"], params={"wait": "20"}).json()["status"] == "cancelled"
    return body


def expired(http: httpx.Client) -> dict[str, object]:
    body = body_of("[[latency_ms=30000]]", deadline_seconds=1)
    assert code_of(post(http, body)) == "DEADLINE_EXCEEDED"
    return body


def deleted(http: httpx.Client) -> dict[str, object]:
    body = body_of()
    post(http, body)
    assert http.delete(f"/result/{body['request_id']}").status_code == 204
    return body


@pytest.mark.parametrize(
    ("end", "code", "read"),
    [
        (cancelled, "JOB_CANCELLED", 200),
        (expired, "DEADLINE_EXCEEDED", 200),
        (deleted, "RESULT_DELETED", 410),
    ],
)
def test_a_tombstone_is_a_conflict_with_its_reason(
    http: httpx.Client,
    provider: ScriptedProvider,
    end: Callable[[httpx.Client], dict[str, object]],
    code: str,
    read: int,
) -> None:
    body = end(http)
    calls = len(provider.calls_of(str(body["user_prompt"])))
    for _ in range(2):
        again = post(http, body)
        assert (again.status_code, code_of(again)) == (409, code)
        assert again.headers["x-should-retry"] == "false"
    assert http.get(f"/result/{body['request_id']}").status_code == read
    assert len(provider.calls_of(str(body["user_prompt"]))) == calls


def test_a_validation_failure_claims_nothing(http: httpx.Client) -> None:
    body = body_of()
    assert post(http, body | {"temperature": 9}).status_code == 400
    assert http.get(f"/result/{body['request_id']}").status_code == 404
    assert post(http, body).status_code == 200


# --- How a request names itself ---


def test_the_header_names_it_quoted_or_bare_and_must_agree(http: httpx.Client) -> None:
    key, prompt = str(uuid4()), str(uuid4())
    for header in (key, f'"{key}"', key.upper()):
        response = post(http, {"user_prompt": prompt}, **{"Idempotency-Key": header})
        assert (response.status_code, response.json()["request_id"]) == (200, key)
    assert response.headers["idempotent-replayed"] == "true"
    agreeing = post(http, {"user_prompt": prompt, "request_id": key}, **{"Idempotency-Key": f'"{key}"'})
    assert agreeing.status_code == 200
    for headers in (
        [("Idempotency-Key", str(uuid4()))],
        [("Idempotency-Key", key), ("Idempotency-Key", str(uuid4()))],
    ):
        refused = http.post("/invoke", json={"user_prompt": prompt, "request_id": key}, headers=headers)
        assert (refused.status_code, code_of(refused)) == (400, "REQUEST_ID_MISMATCH")


# --- Clients that try again by themselves ---


@pytest.mark.parametrize(
    ("end", "path", "is_tried_again"),
    [
        (lambda _: body_of("[[latency_ms=800]]"), "strict", True),
        (lambda _: body_of("[[status=500]]"), "/invoke", True),
        (lambda _: body_of("[[status=400]]"), "/invoke", False),
        (lambda _: body_of("[[cut]]", on_unknown="fail"), "/invoke", False),
        (lambda _: body_of(temperature=9), "/invoke", False),
        (deleted, "/invoke", False),
        (cancelled, "/invoke", False),
        (expired, "/invoke", False),
    ],
    ids=["strict", "unavailable", "rejected", "unknown", "invalid", "deleted", "cancelled", "expired"],
)
def test_the_openai_client_tries_again_when_it_should(
    http: httpx.Client, end: Callable[[httpx.Client], dict[str, object]], path: str, is_tried_again: bool
) -> None:
    body = end(http)
    headers = {}
    if path == "strict":
        http.post("/submit", json=body)
        headers = {"Prefer": "handling=strict"}
    answer = http.post("/invoke", json=body, headers=headers)
    assert answer.status_code >= 400
    with openai.OpenAI(api_key="sk-x", base_url=str(http.base_url)) as client:
        assert client._should_retry(answer) is is_tried_again  # type: ignore[arg-type]
    # The same answer again, which clients ask for that look at the status alone, costs no call.


# --- The topic: direct producers, same table ---


async def send(cluster: Cluster, body: dict[str, object], *headers: tuple[str, bytes]) -> Any:
    topic = cluster.settings["KAFKA_REQUEST_TOPIC"]
    brokers = cluster.settings["KAFKA_BOOTSTRAP_SERVERS"]
    key = str(body["request_id"]).encode()
    return await produce(brokers, topic, orjson.dumps(body), key=key, headers=headers)


async def results_of(cluster: Cluster, request_id: object, count: int) -> list[dict[str, Any]]:
    """What stands on `llm-results` for an id, once there are so many."""
    found: list[dict[str, Any]] = []

    def is_last(record: Any) -> bool:
        if record.key == str(request_id).encode():
            found.append(orjson.loads(record.value))
        return len(found) >= count

    settings = cluster.settings
    await read_until(settings["KAFKA_BOOTSTRAP_SERVERS"], settings["KAFKA_RESULT_TOPIC"], is_last)
    return found


async def refusal_of(cluster: Cluster, request_id: object, code: str) -> None:
    def is_it(record: Any) -> bool:
        fact = orjson.loads(record.value)
        return (fact["request_id"], fact["error"]["error_code"]) == (request_id, code)

    settings = cluster.settings
    await read_until(settings["KAFKA_BOOTSTRAP_SERVERS"], settings["KAFKA_ERROR_TOPIC"], is_it)


async def test_topic_finished_well_is_told_again_without_a_call(
    cluster: Cluster, provider: ScriptedProvider
) -> None:
    body = body_of()
    await send(cluster, body)
    (first,) = await results_of(cluster, body["request_id"], 1)
    await send(cluster, body)
    _, again = await results_of(cluster, body["request_id"], 2)
    assert again == first
    assert len(provider.calls_of(str(body["user_prompt"]))) == 1


async def test_topic_running_is_one_call(cluster: Cluster, provider: ScriptedProvider) -> None:
    body = body_of("[[latency_ms=500]]")
    for _ in range(3):
        await send(cluster, body)
    await results_of(cluster, body["request_id"], 3)
    assert len(provider.calls_of(str(body["user_prompt"]))) == 1


async def test_topic_a_failure_that_may_pass_runs_again_when_it_is_asked_anew(
    cluster: Cluster, provider: ScriptedProvider
) -> None:
    # Given a stored failure that may pass
    body, written_at = body_of("[[status=401 times=1]]"), time.time()
    await send(cluster, body)
    (failure,) = await results_of(cluster, body["request_id"], 1)
    assert failure["error"]["retryable"]
    # When a record comes that was written before the failure, then it is a copy and runs nothing
    ce_time = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(written_at - 1)).encode()
    await send(cluster, body, ("ce_time", ce_time))
    _, copy = await results_of(cluster, body["request_id"], 2)
    assert copy == failure
    # When one comes that was written after it, then it runs, and goes on counting
    await send(cluster, body)
    result = (await results_of(cluster, body["request_id"], 3))[-1]
    assert (result["success"], result["performance"]["attempts"]) == (True, 2)
    assert len(provider.calls_of(str(body["user_prompt"]))) == 2


async def test_topic_a_failure_for_good_is_told_again(cluster: Cluster, provider: ScriptedProvider) -> None:
    body = body_of("[[status=400]]")
    await send(cluster, body)
    (first,) = await results_of(cluster, body["request_id"], 1)
    await send(cluster, body)
    assert (await results_of(cluster, body["request_id"], 2))[1] == first
    assert len(provider.calls_of(str(body["user_prompt"]))) == 1


async def test_topic_another_body_is_refused_to_the_errors(
    cluster: Cluster, provider: ScriptedProvider
) -> None:
    body = body_of()
    await send(cluster, body)
    (first,) = await results_of(cluster, body["request_id"], 1)
    other = body | {"user_prompt": f"else {uuid4()}"}
    await send(cluster, other)
    await refusal_of(cluster, body["request_id"], "DUPLICATE_REQUEST_ID")
    assert provider.calls_of(str(other["user_prompt"])) == []
    assert first["success"]


async def test_topic_a_tombstone_is_told_with_its_reason(
    cluster: Cluster, provider: ScriptedProvider
) -> None:
    def end(how: Callable[[httpx.Client], dict[str, object]]) -> dict[str, object]:
        with httpx.Client(base_url=cluster.url, timeout=60) as http:
            return how(http)

    gone, cut = await asyncio.gather(asyncio.to_thread(end, deleted), asyncio.to_thread(end, cancelled))
    calls = provider.count()
    await send(cluster, gone)
    await refusal_of(cluster, gone["request_id"], "RESULT_DELETED")
    await send(cluster, cut)
    again = (await results_of(cluster, cut["request_id"], 2))[1]
    assert again["error"]["error_code"] == "JOB_CANCELLED"
    assert provider.count() == calls
