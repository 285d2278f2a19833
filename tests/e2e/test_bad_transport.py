"""Bodies and connections that no library sends: a clear 4xx, soon, and nothing claimed."""

import gzip
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.e2e.test_lifecycle import until
from tests.support.provider_process import ScriptedProvider
from tests.support.raw_http import connected, post_head
from tests.support.service_processes import Service, logged, one_process

ID = "REQUEST_ID"
JSON = {"content-type": "application/json"}
VALID = b'{"user_prompt": "x", "request_id": "REQUEST_ID"}'


def with_messages(count: int) -> bytes:
    message = '{"role": "user", "content": "x"}'
    return f'{{"messages": [{",".join([message] * count)}], "request_id": "{ID}"}}'.encode()


def nested(depth: int) -> bytes:
    return VALID[:-1] + b', "tools": ' + b"[" * depth + b"]" * depth + b"}"


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (VALID[:-1] + b', "user_prompt": "y"}', JSON, 400, "INVALID_JSON"),
        (VALID[:-1] + b', "tools": [{"a": 1, "\\u0061": 2}]}', JSON, 400, "INVALID_JSON"),
        (VALID[:-1] + b', "temperature": NaN}', JSON, 400, "INVALID_JSON"),
        (VALID[:-1] + b', "temperature": -Infinity}', JSON, 400, "INVALID_JSON"),
        (VALID[:-1] + b', "temperature": 1e400}', JSON, 400, "INVALID_JSON"),
        (VALID.replace(b'"x"', b'"\\ud800"'), JSON, 400, "INVALID_JSON"),
        (VALID.replace(b'"x"', b'"\xff\xfe"'), JSON, 400, "INVALID_JSON"),
        (VALID.decode().encode("utf-16"), JSON, 400, "INVALID_JSON"),
        (VALID + b"{}", JSON, 400, "INVALID_JSON"),
        (with_messages(10_000), JSON, 400, "INVALID_FIELD"),
        (nested(1_000), JSON, 400, "INVALID_JSON"),
        (gzip.compress(VALID, mtime=0), {**JSON, "content-encoding": "gzip"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        (gzip.compress(VALID, mtime=0), JSON, 400, "INVALID_JSON"),
        (VALID, {"content-type": "text/plain"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        (VALID, {"content-type": "application/x-www-form-urlencoded"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        (VALID, {"content-type": "application/json; charset=utf-16"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        (VALID, {**JSON, "idempotency-key": str(uuid4())}, 400, "REQUEST_ID_MISMATCH"),
        (VALID, {**JSON, "idempotency-key": "order-17"}, 400, "INVALID_FIELD"),
        (VALID, {**JSON, "idempotency-key": ""}, 400, "INVALID_FIELD"),
        (VALID, {**JSON, "prefer": "wait=-1"}, 400, "INVALID_FIELD"),
    ],
)
def test_a_bad_request_is_refused_and_claims_nothing(
    http: httpx.Client,
    provider: ScriptedProvider,
    body: bytes,
    headers: dict[str, str],
    status: int,
    code: str,
) -> None:
    request_id = str(uuid4())
    body = body.replace(ID.encode(), request_id.encode())
    response = http.post("/invoke", content=body, headers=headers)
    answer = response.json()
    assert (response.status_code, answer["error"]["error_code"]) == (status, code)
    assert len(answer["error"]["trace_id"]) == 32
    assert provider.count() == 0
    assert http.get(f"/result/{request_id}").status_code == 404


@pytest.mark.parametrize(
    "content_type",
    [None, "application/json", "Application/JSON; charset=UTF-8", "application/vnd.job+json"],
)
def test_json_is_taken_by_every_name_it_has(http: httpx.Client, content_type: str | None) -> None:
    headers = {"content-type": content_type} if content_type else {}
    assert http.post("/invoke", content=b'{"user_prompt": "x"}', headers=headers).status_code == 200


def test_as_many_messages_as_a_provider_takes_are_taken(http: httpx.Client) -> None:
    body = json.loads(with_messages(2_048))
    body["request_id"] = str(uuid4())
    assert http.post("/invoke", json=body).status_code == 200


@pytest.fixture(scope="module")
def impatient(_provider: ScriptedProvider, module_folder: Path) -> Iterator[Service]:
    """A request must arrive within a second; an idle connection is kept for two."""
    settings = {"LLM_RECEIVE_TIMEOUT_SECONDS": "1", "LLM_KEEP_ALIVE_SECONDS": "2"}
    with one_process(
        module_folder, REDIS_ENABLED="false", OPENAI_BASE_URL=_provider.base_url, **settings
    ) as service:
        yield service


def drip_body(send: Callable[[bytes], None], body: bytes) -> None:
    send(post_head(len(body)))
    for byte in body[:-1]:
        send(bytes([byte]))
        time.sleep(0.05)


def drip_head(send: Callable[[bytes], None], body: bytes) -> None:
    for byte in post_head(len(body), f"x-filler: {'a' * 200}"):
        send(bytes([byte]))
        time.sleep(0.05)


def stop_within_the_body(send: Callable[[bytes], None], body: bytes) -> None:
    send(post_head(len(body)) + body[:10])


def stop_within_the_head(send: Callable[[bytes], None], body: bytes) -> None:
    send(post_head(len(body))[:20])


@pytest.mark.parametrize("sends", [drip_body, drip_head, stop_within_the_body, stop_within_the_head])
def test_a_request_that_takes_too_long_to_arrive_is_408(
    impatient: Service, sends: Callable[[Callable[[bytes], None], bytes], None]
) -> None:
    request_id = str(uuid4())
    body = VALID.replace(ID.encode(), request_id.encode())
    with connected(impatient.url) as client:
        # Given a connection that has been of use
        client.send(b"GET /health/live HTTP/1.1\r\nhost: test\r\n\r\n")
        assert client.answer()[0] == 200
        # When a request comes slowly
        with suppress(ConnectionError):  # it hangs up while we drip
            sends(client.send, body)
        # Then it is refused while it still comes
        status, answer = client.answer()
        error = answer["error"]
        assert isinstance(error, dict)
        assert (status, error["error_code"], error["retryable"]) == (408, "REQUEST_TIMEOUT", True)
        assert client.is_closed()
    assert httpx.get(f"{impatient.url}/result/{request_id}").status_code == 404
    # And whoever reads the log finds it
    until(lambda: error["trace_id"] in impatient.child.log())


def test_a_connection_that_says_nothing_is_closed(impatient: Service) -> None:
    with connected(impatient.url) as client:
        assert client.is_closed()


def test_waiting_for_an_answer_is_not_slowness_and_the_connection_is_kept(impatient: Service) -> None:
    body = b'{"user_prompt": "%s [[latency_ms=1500]]"}' % uuid4().hex.encode()
    request = post_head(len(body)) + body
    with connected(impatient.url) as client:
        for _ in range(2):
            client.send(request)
            assert client.answer()[0] == 200
        assert client.is_closed()  # two seconds after the last answer


def test_a_pipelined_request_is_not_slow_while_the_one_before_it_is_answered(impatient: Service) -> None:
    body = b'{"user_prompt": "%s [[latency_ms=1500]]"}' % uuid4().hex.encode()
    request = post_head(len(body)) + body
    with connected(impatient.url) as client:
        client.send(request + request[:-5])
        assert client.answer()[0] == 200
        client.send(request[-5:])
        assert client.answer()[0] == 200


def test_a_head_without_end_is_431(impatient: Service) -> None:
    for filler in ("x-one: 1\r\n" * 8_000, f"x-long: {'a' * 70_000}\r\n"):
        head = post_head(len(VALID)).replace(b"\r\n\r\n", b"\r\n" + filler.encode() + b"\r\n")
        with connected(impatient.url) as client:
            client.send(head + VALID)
            status, answer = client.answer()
            assert (status, answer["error"]["error_code"]) == (431, "HEADERS_TOO_LARGE")  # type: ignore[index]


def test_what_is_not_http_is_400_with_the_usual_body(impatient: Service) -> None:
    with connected(impatient.url) as client:
        client.send(b"HELO there\r\n\r\n")
        status, answer = client.answer()
        assert (status, answer["error"]["error_code"]) == (400, "INVALID_HTTP")  # type: ignore[index]
        assert client.is_closed()


def test_a_client_that_leaves_within_its_body_is_no_fault_of_ours(impatient: Service) -> None:
    path = f"/invoke?mark={uuid4()}"
    crashes = len(logged(impatient.child, "request_crashed"))
    with connected(impatient.url) as client:
        client.send(post_head(len(VALID)).replace(b"/invoke", path.encode()) + VALID[:10])
        httpx.get(f"{impatient.url}/health/live")  # until the head has been read
    until(lambda: any(line["status"] == 499 for line in logged(impatient.child, "request_answered")))
    assert len(logged(impatient.child, "request_crashed")) == crashes
