"""Two clients in one gateway: neither can see, stop, erase or even detect the other's jobs."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from fastapi.routing import iter_route_contexts
from loguru import logger

from gateway.access import OPEN_PATHS, owner_of
from gateway.client_tokens import new_token
from gateway.settings import GatewaySettings
from shared.domain.errors import ErrorCode
from shared.domain.job import JobId
from shared.settings import load_settings
from tests.support.clients import (
    ABOUT_AN_ID,
    CHAT,
    IN_OPENAIS_FORM,
    UNDER_AN_ID,
    WITHOUT_AN_ID,
    Call,
    client,
    lasting,
    request_of,
    settings_for,
)
from tests.support.jobs import make_failure, make_success
from tests.unit.gateway.gateway_in_process import Gateway, gateway_in_process

ANNA, BERT = client("anna"), client("bert")
CLOSED = (*ABOUT_AN_ID, *UNDER_AN_ID, *WITHOUT_AN_ID, *IN_OPENAIS_FORM)


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with gateway_in_process(**settings_for(ANNA, BERT)) as running:
        yield running


async def annas(gateway: Gateway, state: str) -> str:
    """A job of hers, in a state."""
    request_id = str(uuid4())
    posted = await gateway.http.request(**request_of(("POST", "/submit"), request_id), headers=ANNA.headers)
    assert posted.status_code == 202
    job = gateway.queue.jobs.pop()
    if state == "running":
        await gateway.http.post(f"/result/{request_id}/cancel", headers=ANNA.headers)
    elif state != "queued":
        failure = make_failure(job, ErrorCode.CONTENT_POLICY)
        await gateway.finish(job, failure if state == "failed" else None)
    if state == "deleted":
        deleted = await gateway.http.delete(f"/result/{request_id}", headers=ANNA.headers)
        assert deleted.status_code == 204
    gateway.store.asked.clear()
    return request_id


def routes_of(gateway: Gateway) -> set[Call]:
    """Every route there is, also one that no document shows."""
    contexts = list(iter_route_contexts(gateway.app.routes))
    assert len(contexts) > 10
    return {
        (method, context.path or "")
        for context in contexts
        for method in (context.methods or {"?"})
        if not (method == "HEAD" and "GET" in (context.methods or ()))
    }


async def test_every_route_is_open_or_named_here(gateway: Gateway) -> None:
    # A new route is closed; say in tests/support/clients.py what it does with ids, and it is tested as that.
    open_routes = {("GET", path) for path in OPEN_PATHS}
    assert routes_of(gateway) - open_routes == set(CLOSED)
    assert not any("{" in path for path in OPEN_PATHS)


@pytest.mark.parametrize("state", ["queued", "succeeded", "failed", "deleted"])
@pytest.mark.parametrize("call", ABOUT_AN_ID, ids=" ".join)
async def test_anothers_id_is_as_unknown_as_one_nobody_has(gateway: Gateway, call: Call, state: str) -> None:
    # Given a job of Anna's
    hers, nobodys = await annas(gateway, state), str(uuid4())
    # When Bert asks about her id, and about one that nobody has
    foreign = await gateway.http.request(**request_of(call, hers), headers=BERT.headers)
    asked_for_hers = _steps(gateway, hers)
    unknown = await gateway.http.request(**request_of(call, nobodys), headers=BERT.headers)
    # Then the answers are the same, and so is the work for them, under his own name
    assert lasting(foreign) == lasting(unknown)
    assert foreign.json()["error"]["error_code"] == "NOT_FOUND"
    assert asked_for_hers == _steps(gateway, nobodys)
    assert {owner for _, owner in asked_for_hers if owner} == {"bert"}
    # And nothing happened to her job
    mine = await gateway.http.get(f"/result/{hers}", headers=ANNA.headers)
    expected = {"queued": (202, "queued"), "deleted": (410, None)}.get(state, (200, state))
    assert (mine.status_code, mine.json().get("status")) == expected


@pytest.mark.parametrize("call", UNDER_AN_ID, ids=" ".join)
async def test_one_id_of_two_clients_is_two_jobs(gateway: Gateway, call: Call) -> None:
    # Given one id, under which each asks something of their own
    request_id, asked = str(uuid4()), {"Prefer": "respond-async"}
    for each in (ANNA, BERT):
        question = request_of(call, request_id, prompt=each.name)
        posted = await gateway.http.request(**question, headers={**each.headers, **asked})
        assert posted.status_code == 202
    jobs = {job.id.owner: job for job in gateway.queue.jobs}
    assert {job.id for job in jobs.values()} == {JobId("anna", request_id), JobId("bert", request_id)}
    # When one of the jobs ends
    await gateway.finish(jobs["anna"])
    # Then it is hers alone, again and for each way to look
    for each, status in ((ANNA, 200), (BERT, 202)):
        read = await gateway.http.get(f"/result/{request_id}", headers=each.headers)
        question = request_of(call, request_id, prompt=each.name)
        again = await gateway.http.request(**question, headers={**each.headers, **asked})
        assert (read.status_code, again.status_code) == (status, status)


async def test_one_idempotency_key_of_two_clients_is_two_chats(gateway: Gateway) -> None:
    # Given one key, under which each asks something of their own, and waits
    key, asked = str(uuid4()), {}
    for each in (ANNA, BERT):
        question = request_of(CHAT, key, prompt=each.name)
        headers = {**question.pop("headers"), **each.headers}
        asked[each.name] = asyncio.create_task(gateway.http.request(**question, headers=headers))
        while each.name not in {job.id.owner for job in gateway.queue.jobs}:
            await asyncio.sleep(0)
    # When the jobs end, each in its own words
    for job in gateway.queue.jobs:
        await gateway.finish(job, make_success(job, f"for {job.id.owner}"))
    # Then each hears its own
    for name, waiting in asked.items():
        answer = (await waiting).json()
        assert answer["choices"][0]["message"]["content"] == f"for {name}"


WRONG = {
    "missing": {},
    "empty": {"Authorization": ""},
    "no token": {"Authorization": "Bearer "},
    "unknown": {"Authorization": f"Bearer {new_token()}"},
    "another scheme": {"Authorization": f"Basic {ANNA.token}"},
    "no scheme": {"Authorization": ANNA.token},
    "its hash": {"Authorization": f"Bearer {ANNA.entry.partition('=')[2]}"},
    "a name": {"Authorization": "Bearer anna"},
    "two": {"Authorization": f"Bearer {ANNA.token} {BERT.token}"},
}


@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("call", [*CLOSED, ("GET", "/nothing/here")], ids=" ".join)
async def test_nobody_else_comes_in(gateway: Gateway, call: Call, headers: dict[str, str]) -> None:
    question = request_of(call, str(uuid4()))
    question["headers"] = {**question.get("headers", {}), **headers}
    refused = await gateway.http.request(**question)
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    error = refused.json()["error"]
    if call in IN_OPENAIS_FORM:
        assert (error["code"], error["type"]) == ("invalid_api_key", "invalid_request_error")
    else:
        assert (error["error_code"], error["error_type"]) == ("UNAUTHORIZED", "authentication_error")
    assert not any(each.token in refused.text for each in (ANNA, BERT))
    assert (gateway.store.asked, gateway.queue.jobs) == ([], [])


@pytest.mark.parametrize(
    "path", ["/health/", "http://x//health", "/HEALTH", "/health/..%2fstats", "/docs/x", "/result/"]
)
async def test_what_only_resembles_an_open_path_is_closed(gateway: Gateway, path: str) -> None:
    assert (await gateway.http.get(path)).status_code == 401


async def test_open_paths_need_no_token_and_refusals_are_counted(gateway: Gateway) -> None:
    await gateway.http.get("/stats")
    there = OPEN_PATHS & {path for _, path in routes_of(gateway)}
    assert {"/health", "/health/live", "/health/ready", "/docs", "/openapi.json"} <= there
    for path in there:
        assert (await gateway.http.get(path)).status_code == 200, path
    stats = await gateway.http.get("/stats", headers={"authorization": f"bEARER   {ANNA.token}"})
    assert stats.json()["total"]["errors"] == {"UNAUTHORIZED": 1}


async def test_the_document_says_what_wants_a_token(gateway: Gateway) -> None:
    document = (await gateway.http.get("/openapi.json")).json()
    assert document["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}
    closed = {(method, path.replace(":path", "")) for method, path in CLOSED}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            is_closed = (method.upper(), path) in closed
            assert (operation.get("security") == [{"token": []}]) is is_closed, path
            assert (
                "WWW-Authenticate" in operation["responses"].get("401", {}).get("headers", {})
            ) is is_closed


async def test_without_auth_there_is_no_gate_and_no_further_step() -> None:
    asked: list[list[Any]] = []
    for settings in (settings_for(ANNA), {"LLM_ENABLE_AUTH": "false"}):
        async with gateway_in_process(**settings) as gateway:
            request_id = str(uuid4())
            about = (call for call in ABOUT_AN_ID if not call[1].endswith("/events"))  # which would follow it
            for call in (*UNDER_AN_ID[1:], *about):
                await gateway.http.request(**request_of(call, request_id), headers=ANNA.headers)
            asked.append([step for step, _ in gateway.store.asked])
            layers = [layer.cls.__name__ for layer in gateway.app.user_middleware]  # type: ignore[attr-defined]
            names = {job.id.owner for job in gateway.queue.jobs}
    # The last one was without auth
    assert (layers, names) == (["RequestBoundary"], {"public"})
    assert "security" not in str(gateway.app.openapi())
    # And a token costs no step of the store
    assert asked[0] == asked[1]


async def test_an_open_path_has_no_owner(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a route that is open by mistake, and asks whose request it is
    monkeypatch.setattr("gateway.access.OPEN_PATHS", OPEN_PATHS | {"/jobs"})
    gateway.app.add_api_route("/jobs", owner_of)
    # Then it fails, and hands out nobody's jobs
    assert (await gateway.http.get("/jobs")).status_code == 500


async def test_log_lines_carry_the_client_and_no_token(gateway: Gateway) -> None:
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), format="{message} {extra}", level="TRACE")
    try:
        await gateway.http.get(f"/result/{uuid4()}", headers=ANNA.headers)
        await gateway.http.get(f"/result/{ANNA.token}", headers=BERT.headers)
        await gateway.http.get(f"/{ANNA.token}", params={"token": ANNA.token})
    finally:
        logger.remove(sink)
    assert ["'owner': 'anna'" in lines[0], "'owner': 'bert'" in lines[1], "'owner': None" in lines[2]] == [
        True
    ] * 3
    assert ANNA.token not in str(lines)


def test_settings_show_no_hash() -> None:
    settings = load_settings(GatewaySettings, _env_file=None, llm_auth_tokens=ANNA.entry)
    assert ANNA.entry not in f"{settings!r} {settings.model_dump_json()}"


def _steps(gateway: Gateway, request_id: str) -> list[tuple[str, str | None]]:
    """What the store was asked, with the owner but without the id."""
    asked = [(step, job_id.owner if job_id else None) for step, job_id in gateway.store.asked]
    assert {job_id.request_id for _, job_id in gateway.store.asked if job_id} == {request_id}
    gateway.store.asked.clear()
    return asked
