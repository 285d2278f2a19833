"""Every error code, caused through the real interface: its status, its body and its headers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from gateway.error_responses import STATUS_OF_CODE
from shared.domain.errors import RETRYABLE_CODES, TYPE_OF_CODE, ErrorCode
from tests.e2e.test_same_id import body_of, cancelled, deleted, expired
from tests.support.clients import client as client_with_token
from tests.support.clients import settings_for
from tests.support.faulty_gateway import SECRET, faulty_gateway
from tests.support.provider_process import ScriptedProvider
from tests.support.raw_http import connected, post_head
from tests.support.service_processes import one_process

TRACE_ID = uuid4().hex
KNOWN = client_with_token("known")
JOB_KEYS = {"performance", "model", "cached", "cost_usd", "possible_duplicate_charge", "metadata"}
ERROR_KEYS = {"success", "request_id", "error", "timestamp"}


@dataclass(frozen=True)
class Services:
    """Callers of services that differ in what they can get wrong."""

    usual: httpx.Client
    hasty: httpx.Client
    faulty: httpx.Client
    closed: httpx.Client
    keyless: Callable[[], str]


Cause = Callable[[Services], httpx.Response]


@pytest.fixture(scope="module")
def services(_provider: ScriptedProvider, module_folder: Path) -> Iterator[Services]:
    settings = {"REDIS_ENABLED": "false", "OPENAI_BASE_URL": _provider.base_url}
    hasty = {
        "WORKER_READ_TIMEOUT_SECONDS": "0.3",
        "WORKER_MAX_ATTEMPTS": "1",
        "LLM_RECEIVE_TIMEOUT_SECONDS": "1",
    }
    scarce = {"LLM_LIMIT_REQUESTS_PER_MINUTE": "1", "LLM_LIMIT_TOKENS_PER_MINUTE": "5000"}
    headers = {"traceparent": f"00-{TRACE_ID}-{'1' * 16}-01"}

    def client(url: str) -> httpx.Client:
        return httpx.Client(base_url=url, headers=headers, timeout=60)

    with (
        one_process(module_folder, WORKER_BACKOFF_SECONDS="0.05", **settings) as usual,
        one_process(module_folder, **settings, **hasty) as impatient,
        one_process(module_folder, **settings, **settings_for(KNOWN), **scarce) as guarded,
        faulty_gateway() as faulty,
        client(usual.url) as first,
        client(impatient.url) as second,
        client(faulty) as third,
        client(guarded.url) as fourth,
    ):

        def keyless() -> str:
            folder = module_folder / "keyless"
            folder.mkdir()
            with one_process(folder, REDIS_ENABLED="false") as service, client(service.url) as http:
                return ask(http, "x", model="gpt-4o-mini").text

        yield Services(first, second, third, fourth, keyless)


def ask(http: httpx.Client, prompt: str, **more: object) -> httpx.Response:
    return http.post("/invoke", json={"user_prompt": prompt, **more})


def said(directive: str, **more: object) -> Cause:
    """The provider answers in a certain way."""
    return lambda services: ask(services.usual, f"{uuid4()} {directive}", **more)


def broken(prompt: str) -> Cause:
    return lambda services: ask(services.faulty, prompt)


def after(end: Callable[[httpx.Client], dict[str, object]], method: str = "", path: str = "") -> Cause:
    """The same request again, or another call on its id, once it has ended so."""

    def cause(services: Services) -> httpx.Response:
        body = end(services.usual)
        if not method:
            return services.usual.post("/invoke", json=body)
        return services.usual.request(method, f"/result/{body['request_id']}{path}")

    return cause


def finished(http: httpx.Client) -> dict[str, object]:
    body = body_of()
    http.post("/invoke", json=body)
    return body


def running(http: httpx.Client) -> dict[str, object]:
    body = body_of("[[latency_ms=2000]]")
    http.post("/submit", json=body)
    return body


def conflicting(http: httpx.Client) -> dict[str, object]:
    return finished(http) | {"user_prompt": "else"}


def strictly_again(services: Services) -> httpx.Response:
    return services.usual.post("/invoke", json=running(services.usual), headers={"Prefer": "handling=strict"})


def uncached(services: Services) -> httpx.Response:
    return services.usual.post("/invoke", json=body_of() | {"temperature": 0, "cache": {"mode": "only"}})


def mismatch(services: Services) -> httpx.Response:
    return services.usual.post("/invoke", json=body_of(), headers={"Idempotency-Key": str(uuid4())})


def posted(content: bytes, **headers: str) -> Cause:
    return lambda services: services.usual.post("/invoke", content=content, headers=headers)


def sent(data: bytes) -> Cause:
    """On a socket, by a client that no library would be."""

    def cause(services: Services) -> httpx.Response:
        with connected(str(services.hasty.base_url)) as client:
            client.send(data)
            status, body = client.answer()
        return httpx.Response(status, json=body)

    return cause


def known(services: Services, **more: object) -> httpx.Response:
    return services.closed.post("/invoke", json={"user_prompt": "x", **more}, headers=KNOWN.headers)


def beyond_the_limit(services: Services) -> httpx.Response:
    known(services)
    return known(services)


def without_any_key(services: Services) -> httpx.Response:
    return httpx.Response(400, text=services.keyless())


CAUSES: dict[ErrorCode, Cause] = {
    ErrorCode.INVALID_HTTP: sent(b"HELO there\r\n\r\n"),
    ErrorCode.INVALID_JSON: posted(b"{nope"),
    ErrorCode.INVALID_FIELD: said("", temperature=9),
    ErrorCode.UNKNOWN_FIELD: said("", surprise=1),
    ErrorCode.MISSING_FIELD: posted(b"{}"),
    ErrorCode.INVALID_API_KEY: said("", openai_api_key="no key"),
    ErrorCode.API_KEY_NOT_ACCEPTED: lambda services: ask(services.faulty, "x", openai_api_key="sk-x"),
    ErrorCode.MISSING_API_KEY: without_any_key,
    ErrorCode.UNAUTHORIZED: lambda services: ask(services.closed, "x"),
    ErrorCode.UNSUPPORTED_MODEL: said("", model="gpt-9"),
    ErrorCode.REQUEST_ID_MISMATCH: mismatch,
    ErrorCode.UPSTREAM_REJECTED: said("[[status=400]]"),
    ErrorCode.CONTEXT_TOO_LONG: said("[[status=400 code=context_length_exceeded]]"),
    ErrorCode.CONTENT_POLICY: said("[[status=400 code=content_policy_violation]]"),
    ErrorCode.UPSTREAM_AUTHENTICATION: said("[[status=401]]"),
    ErrorCode.NOT_FOUND: lambda services: services.usual.get(f"/result/{uuid4()}"),
    ErrorCode.METHOD_NOT_ALLOWED: lambda services: services.usual.get("/invoke"),
    ErrorCode.REQUEST_TIMEOUT: sent(post_head(10) + b"{"),
    ErrorCode.DUPLICATE_REQUEST_ID: after(conflicting),
    ErrorCode.REQUEST_IN_PROGRESS: strictly_again,
    ErrorCode.CACHE_MISS: uncached,
    ErrorCode.DEADLINE_EXCEEDED: after(expired),
    ErrorCode.JOB_CANCELLED: after(cancelled),
    ErrorCode.RESULT_DELETED: after(deleted),
    ErrorCode.ALREADY_FINISHED: after(finished, "POST", "/cancel"),
    ErrorCode.STILL_RUNNING: after(running, "DELETE"),
    ErrorCode.GONE: after(deleted, "GET"),
    ErrorCode.BODY_TOO_LARGE: said("x" * 2_000_000),
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: posted(b"{}", **{"content-encoding": "gzip"}),
    ErrorCode.ABOVE_LIMIT: lambda services: known(services, max_tokens=6000),
    ErrorCode.LIMIT_EXCEEDED: beyond_the_limit,
    ErrorCode.UPSTREAM_RATE_LIMITED: said("[[status=429 retry_after=0.05]]"),
    ErrorCode.UPSTREAM_QUOTA_EXCEEDED: said("[[status=429 code=insufficient_quota]]"),
    ErrorCode.HEADERS_TOO_LARGE: sent(post_head(2, f"x-long: {'a' * 70_000}")),
    ErrorCode.INTERNAL_ERROR: broken("crash"),
    ErrorCode.TOO_MANY_RUNS: broken("it kills its workers"),
    ErrorCode.QUEUE_FULL: broken("full"),
    ErrorCode.QUEUE_UNAVAILABLE: broken("away"),
    ErrorCode.STORE_UNAVAILABLE: broken("no store"),
    ErrorCode.UPSTREAM_UNAVAILABLE: said("[[status=500]]"),
    ErrorCode.UPSTREAM_TIMEOUT: lambda services: ask(services.hasty, f"{uuid4()} [[hang]]"),
    ErrorCode.UPSTREAM_INVALID_RESPONSE: said("[[malformed]]"),
    ErrorCode.UNKNOWN_OUTCOME: said("[[cut]]", on_unknown="fail"),
}
ON_THE_TOPIC_ALONE = {
    ErrorCode.UNSUPPORTED_SCHEMA,  # test_bad_records.py causes it
    ErrorCode.INVALID_SEALED_KEY,  # test_sealed_keys.py causes it
}


def test_every_code_is_caused() -> None:
    assert {*CAUSES, *ON_THE_TOPIC_ALONE} == set(ErrorCode)


@pytest.mark.parametrize("code", list(CAUSES))
def test_an_error_is_what_the_table_says(services: Services, code: ErrorCode) -> None:
    response = CAUSES[code](services)
    answer: dict[str, Any] = response.json()
    error = answer["error"]
    assert (error["error_code"], response.status_code) == (code, STATUS_OF_CODE[code])
    assert (error["error_type"], error["retryable"]) == (TYPE_OF_CODE[code], code in RETRYABLE_CODES)
    assert set(error) == {
        "error_type",
        "error_code",
        "message",
        "field",
        "details",
        "retryable",
        "trace_id",
    }
    assert ERROR_KEYS <= set(answer) <= ERROR_KEYS | JOB_KEYS | {"status", "data", "usage"}
    assert answer["success"] is False
    for inside in ("Traceback", 'File "', ".py", SECRET):
        assert inside not in response.text
    is_by_the_app = code not in {
        ErrorCode.INVALID_HTTP,
        ErrorCode.HEADERS_TOO_LARGE,
        ErrorCode.REQUEST_TIMEOUT,
    }
    if is_by_the_app and code is not ErrorCode.MISSING_API_KEY:
        assert error["trace_id"] == TRACE_ID
        _check_headers(response, code)
    assert len(error["trace_id"]) == 32


def _check_headers(response: httpx.Response, code: ErrorCode) -> None:
    status, is_retryable = response.status_code, code in RETRYABLE_CODES
    may_come_back = status in (429, 503) or (status == 409 and is_retryable)
    assert ("retry-after" in response.headers) is may_come_back
    is_tried_by_clients = status in (408, 409, 429) or status >= 500
    assert (response.headers.get("x-should-retry") == "false") is (is_tried_by_clients and not is_retryable)
    assert response.headers["content-type"] == "application/json"


def test_unknown_foreign_and_impossible_ids_get_the_same_answer(services: Services) -> None:
    calls = [("GET", ""), ("POST", "/cancel"), ("DELETE", "")]
    for method, path in calls:
        answers = []
        for request_id in (str(uuid4()), "not-a-uuid"):
            response = services.usual.request(method, f"/result/{request_id}{path}")
            answers.append((response.status_code, response.json()["error"], response.json()["request_id"]))
        assert answers[0] == answers[1]
        assert answers[0][0] == 404
