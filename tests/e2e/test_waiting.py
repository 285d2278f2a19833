"""How long a caller waits, and what becomes of the wait."""

import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import orjson
import pytest

from tests.e2e.conftest import Cluster
from tests.e2e.test_lifecycle import until
from tests.support.provider_process import ScriptedProvider
from tests.support.raw_http import connected, post_head
from tests.support.service_processes import Service, one_process


def slow(milliseconds: int = 700) -> dict[str, object]:
    return {"user_prompt": f"{uuid4()} [[latency_ms={milliseconds}]]", "request_id": str(uuid4())}


@pytest.mark.parametrize(
    ("path", "query", "prefer", "status", "applied"),
    [
        ("/invoke", {}, None, 200, None),
        ("/invoke", {}, "wait=20", 200, "wait=20"),
        ("/invoke", {}, "wait=0.05", 202, "wait=0.05"),
        ("/invoke", {}, "wait=0", 202, "wait=0"),
        ("/invoke", {}, "respond-async", 202, "respond-async"),
        ("/invoke", {}, "respond-async, wait=20", 202, "respond-async"),
        ("/invoke", {}, "wait=100000", 200, "wait=300"),
        ("/invoke", {}, "return=minimal", 200, None),
        ("/invoke", {"wait": "0"}, None, 202, None),
        ("/invoke", {"wait": "20"}, "respond-async", 200, None),
        ("/submit", {}, None, 202, None),
        ("/submit", {}, "wait=20", 202, None),
        ("/submit", {}, "respond-async", 202, "respond-async"),
    ],
)
def test_a_post_waits_as_it_was_asked(
    http: httpx.Client,
    path: str,
    query: dict[str, str],
    prefer: str | None,
    status: int,
    applied: str | None,
) -> None:
    body = slow()
    headers = {"Prefer": prefer} if prefer else {}
    response = http.post(path, json=body, params=query, headers=headers)
    assert response.status_code == status
    assert response.headers.get("preference-applied") == applied
    if status == 202:
        told = response.json()
        urls = {"status_url", "events_url", "cancel_url"}
        assert set(told) == {"success", "request_id", "status", "expires_at", *urls}
        assert response.headers["location"] == told["status_url"] == f"/result/{body['request_id']}"
        assert int(response.headers["retry-after"]) >= 1
        assert http.get(told["status_url"], params={"wait": "20"}).status_code == 200


@pytest.mark.parametrize(
    ("query", "prefer", "status", "applied"),
    [
        ({}, None, 202, None),
        ({"wait": "0"}, None, 202, None),
        ({"wait": "20"}, None, 200, None),
        ({}, "wait=20", 200, "wait=20"),
        ({}, "wait=0.05", 202, "wait=0.05"),
        ({}, "respond-async", 202, "respond-async"),
        ({}, "return=minimal", 202, None),
    ],
)
def test_a_get_waits_as_it_was_asked(
    http: httpx.Client, query: dict[str, str], prefer: str | None, status: int, applied: str | None
) -> None:
    url = http.post("/submit", json=slow()).json()["status_url"]
    response = http.get(url, params=query, headers={"Prefer": prefer} if prefer else {})
    assert response.status_code == status
    assert response.headers.get("preference-applied") == applied
    assert ("retry-after" in response.headers) is (status == 202)
    assert http.get(url, params={"wait": "20"}).status_code == 200


@pytest.mark.parametrize("wait", ["-1", "soon", "nan", "inf"])
def test_a_wait_that_is_no_time_is_400_and_claims_nothing(http: httpx.Client, wait: str) -> None:
    body = slow(0)
    for refused in (
        http.post("/invoke", json=body, headers={"Prefer": f"wait={wait}"}),
        http.post("/invoke", json=body, params={"wait": wait}),
        http.get(f"/result/{body['request_id']}", headers={"Prefer": f"wait={wait}"}),
    ):
        assert (refused.status_code, refused.json()["error"]["field"]) == (400, "wait")
    assert http.get(f"/result/{body['request_id']}").status_code == 404


def waiting(url: str) -> int:
    count: int = httpx.get(f"{url}/stats").json()["waiting"]
    return count


@pytest.mark.parametrize("way", ["claims", "joins", "reads"])
def test_a_client_that_leaves_frees_its_wait_at_once_and_keeps_its_job(
    service_url: str, provider: ScriptedProvider, way: str
) -> None:
    body = slow(2500)
    if way != "claims":
        httpx.post(f"{service_url}/submit", json=body).raise_for_status()
    raw = orjson.dumps(body)
    request = post_head(len(raw)) + raw
    if way == "reads":
        request = f"GET /result/{body['request_id']}?wait=20 HTTP/1.1\r\nhost: test\r\n\r\n".encode()
    # Given a client that waits
    with connected(service_url) as client:
        client.send(request)
        until(lambda: waiting(service_url) == 1)
        # When it hangs up
    until(lambda: waiting(service_url) == 0)
    # Then its wait ends before its job does
    assert httpx.get(f"{service_url}/result/{body['request_id']}").status_code == 202
    # And the job ends well
    result = httpx.get(f"{service_url}/result/{body['request_id']}", params={"wait": "20"}, timeout=60)
    assert (result.status_code, result.json()["success"]) == (200, True)
    assert len(provider.calls_of(str(body["user_prompt"]))) == 1


@pytest.fixture
def narrow(provider: ScriptedProvider, tmp_path: Path) -> Iterator[Service]:
    """Room for one wait, of at most two seconds."""
    settings = {"LLM_MAX_WAITERS": "1", "LLM_DEFAULT_WAIT_SECONDS": "1", "LLM_MAX_WAIT_SECONDS": "2"}
    with one_process(
        tmp_path, REDIS_ENABLED="false", OPENAI_BASE_URL=provider.base_url, **settings
    ) as service:
        yield service


def test_beyond_the_quota_of_waits_the_answer_is_202_at_once_until_a_client_leaves(narrow: Service) -> None:
    raw = orjson.dumps(slow(4_000))
    with connected(narrow.url) as client, httpx.Client(base_url=narrow.url, timeout=60) as http:
        client.send(post_head(len(raw), "prefer: wait=2") + raw)
        until(lambda: waiting(narrow.url) == 1)
        # No room: a job that would be ready in a moment is 202 too
        refused = http.post("/invoke", json=slow(50))
        assert refused.status_code == 202
        client.socket.close()
        until(lambda: waiting(narrow.url) == 0)
        # Room again
        assert http.post("/invoke", json=slow(50)).status_code == 200


def test_the_default_and_the_longest_wait_are_settings(narrow: Service) -> None:
    body = slow(5_000)
    with httpx.Client(base_url=narrow.url, timeout=60) as http:
        started_at = time.monotonic()
        assert http.post("/invoke", json=body).status_code == 202
        assert time.monotonic() - started_at >= 1
        capped = http.post("/invoke", json=body, headers={"Prefer": "wait=300"})
        assert (capped.status_code, capped.headers["preference-applied"]) == (202, "wait=2")


def test_every_gateway_of_a_cluster_can_be_waited_at(cluster: Cluster) -> None:
    body = slow()
    accepted = httpx.post(f"{cluster.gateways[0].url}/submit", json=body).json()
    read = httpx.get(f"{cluster.gateways[1].url}{accepted['status_url']}", params={"wait": "20"}, timeout=60)
    assert read.json()["success"]
