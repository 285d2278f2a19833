"""`X-Priority` chooses the lane of a job, and nothing else about it."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.unit.gateway.gateway_in_process import Gateway, gateway_in_process

INVOKE = {"user_prompt": "What is the capital of France?"}
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": INVOKE["user_prompt"]}]}
WAYS = pytest.mark.parametrize(
    ("path", "body"), [("/invoke?wait=0", INVOKE), ("/submit", INVOKE), ("/v1/chat/completions", CHAT)]
)
Headers = list[tuple[str, str]]


async def ask(gateway: Gateway, path: str, body: dict[str, Any], headers: Headers) -> httpx.Response:
    return await gateway.http.post(path, json=body, headers=headers)


@WAYS
@pytest.mark.parametrize(
    ("headers", "priority"),
    [
        ([], "normal"),
        ([("X-Priority", "normal")], "normal"),
        ([("X-Priority", "high")], "high"),
        ([("x-priority", "low")], "low"),
        ([("X-Priority", "low"), ("X-Priority", "low")], "low"),
        ([("Priority", "u=1, i")], "normal"),  # a browser's, and none of ours
    ],
)
async def test_a_caller_names_the_lane(
    path: str, body: dict[str, Any], headers: Headers, priority: str
) -> None:
    async with gateway_in_process() as gateway:
        asking = asyncio.create_task(ask(gateway, path, body, headers))
        async with asyncio.timeout(5):
            while not gateway.queue.jobs:
                await asyncio.sleep(0)
        [job] = gateway.queue.jobs
        await gateway.finish(job)  # a chat waits for its answer
        assert (await asking).status_code in (200, 202)
    assert job.priority == priority


@WAYS
@pytest.mark.parametrize(
    ("headers", "value"),
    [
        ([("X-Priority", "urgent")], "urgent"),
        ([("X-Priority", "")], ""),
        ([("X-Priority", "HIGH")], "HIGH"),
        ([("X-Priority", "high, low")], "high, low"),
        ([("X-Priority", "high"), ("X-Priority", "low")], "high, low"),
        ([("X-Priority", "sk-CANARY-0123456789")], "sk-..."),
    ],
)
async def test_a_lane_that_there_is_not_is_refused_and_claims_nothing(
    path: str, body: dict[str, Any], headers: Headers, value: str
) -> None:
    async with gateway_in_process() as gateway:
        answer = await ask(gateway, path, body, headers)
        assert not gateway.queue.jobs
        assert not gateway.store.asked
    assert answer.status_code == 400
    told = f"X-Priority: {value!r} is no priority; allowed: high, normal, low"
    error = answer.json()["error"]
    assert error["message"] == told
    if path.startswith("/v1"):
        assert error["param"] == "X-Priority"
    else:
        assert (error["error_code"], error["field"]) == ("INVALID_FIELD", "X-Priority")
        assert error["details"] == {"value": value, "allowed": ["high", "normal", "low"]}


async def test_the_same_request_in_another_lane_is_the_same_request() -> None:
    body = {**INVOKE, "request_id": str(uuid4())}
    async with gateway_in_process() as gateway:
        first = await ask(gateway, "/submit", body, [("X-Priority", "high")])
        again = await ask(gateway, "/submit", body, [("X-Priority", "low")])
        job = gateway.queue.jobs[0]
        await gateway.finish(job)
        ended = await ask(gateway, "/submit", body, [])
    assert (first.status_code, again.status_code) == (202, 202)
    assert (ended.status_code, ended.headers["idempotent-replayed"]) == (200, "true")
    assert len({job.fingerprint for job in gateway.queue.jobs}) == 1
