"""What every user sees, in one process and distributed."""

import asyncio
from uuid import uuid4

import httpx
import pytest

from tests.e2e.conftest import Cluster
from tests.support.provider_process import ScriptedProvider


def ask(http: httpx.Client, prompt: str, **more: object) -> httpx.Response:
    return http.post("/invoke", json={"user_prompt": prompt, **more})


def test_an_answer_has_the_seeds_shape(http: httpx.Client, provider: ScriptedProvider) -> None:
    request_id = str(uuid4())
    response = ask(
        http, "Say it", request_id=request_id, system_prompt="Be brief", logprobs=True, metadata={"team": "a"}
    )
    assert response.status_code == 200
    body = response.json()
    assert body["success"] is True
    assert body["request_id"] == request_id
    assert body["data"]["response"] == "echo: Say it"
    assert 0 < body["data"]["confidence"] <= 1
    usage = body["usage"]
    assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"]
    assert set(body["performance"]) >= {
        "request_latency_ms",
        "llm_latency_ms",
        "cache_hit",
        "retry_count",
        "rate_limited",
    }
    assert (body["model"], body["cached"], body["error"]) == ("gpt-4o-mini", False, None)
    assert body["timestamp"].endswith("Z")
    assert body["metadata"] == {"team": "a"}
    # And the provider was asked with the defaults, once
    (call,) = provider.calls_of("Say it")
    assert call.parameters["temperature"] == 0.7
    assert call.key_ending == "-own"


def test_the_same_id_again_is_the_same_answer_and_no_call(
    http: httpx.Client, provider: ScriptedProvider
) -> None:
    request_id = str(uuid4())
    first = ask(http, "Once", request_id=request_id)
    again = ask(http, "Once", request_id=request_id)
    assert again.json()["data"] == first.json()["data"]
    assert (again.json()["cached"], again.headers["idempotent-replayed"]) == (True, "true")
    read = http.get(f"/result/{request_id}")
    assert (read.status_code, read.json()["data"]) == (200, first.json()["data"])
    assert len(provider.calls_of("Once")) == 1


def test_the_same_id_with_another_body_is_refused(http: httpx.Client) -> None:
    request_id = str(uuid4())
    ask(http, "One thing", request_id=request_id)
    other = ask(http, "Another thing", request_id=request_id)
    assert other.status_code == 409
    assert other.json()["error"]["error_code"] == "DUPLICATE_REQUEST_ID"
    assert other.headers["x-should-retry"] == "false"


def test_a_call_that_takes_longer_than_the_wait_is_202_and_then_the_answer(http: httpx.Client) -> None:
    prompt = f"{uuid4()} [[latency_ms=700]]"
    response = http.post("/invoke", json={"user_prompt": prompt}, headers={"Prefer": "wait=0.1"})
    assert response.status_code == 202
    body = response.json()
    assert body["status"] in {"queued", "running"}
    assert response.headers["location"] == body["status_url"]
    assert response.headers["retry-after"]
    assert response.headers["preference-applied"] == "wait=0.1"
    finished = http.get(body["status_url"], params={"wait": "30"})
    assert finished.status_code == 200
    assert finished.json()["data"]["response"] == f"echo: {prompt}"


def test_submit_does_not_wait(http: httpx.Client) -> None:
    prompt = f"{uuid4()} [[latency_ms=300]]"
    response = http.post("/submit", json={"user_prompt": prompt})
    assert response.status_code == 202
    assert http.get(response.json()["status_url"]).status_code == 202
    assert http.get(response.json()["status_url"], params={"wait": "30"}).status_code == 200


def test_a_rate_limit_is_waited_out_and_shown(http: httpx.Client, provider: ScriptedProvider) -> None:
    prompt = f"{uuid4()} [[status=429 times=2 retry_after=0.05]]"
    body = ask(http, prompt).json()
    performance = body["performance"]
    assert (performance["retry_count"], performance["attempts"], performance["rate_limited"]) == (2, 3, True)
    assert len(provider.calls_of(prompt)) == 3


def test_a_lost_answer_is_asked_again_and_says_what_it_may_have_cost(
    http: httpx.Client, provider: ScriptedProvider
) -> None:
    prompt = f"{uuid4()} [[cut times=1]]"
    body = ask(http, prompt).json()
    assert (body["success"], body["possible_duplicate_charge"]) == (True, True)
    assert len(provider.calls_of(prompt)) == 2


def test_a_lost_answer_with_on_unknown_fail_is_never_asked_again(
    http: httpx.Client, provider: ScriptedProvider
) -> None:
    prompt = f"{uuid4()} [[malformed times=1]]"
    response = ask(http, prompt, on_unknown="fail")
    assert (response.status_code, response.json()["success"]) == (503, False)
    assert len(provider.calls_of(prompt)) == 1


@pytest.mark.parametrize(
    ("directive", "status", "code", "calls"),
    [
        ("status=400 code=context_length_exceeded", 400, "CONTEXT_TOO_LONG", 1),
        ("status=401", 401, "UPSTREAM_AUTHENTICATION", 1),
        ("status=429 code=insufficient_quota", 429, "UPSTREAM_QUOTA_EXCEEDED", 1),
        ("status=500", 503, "UPSTREAM_UNAVAILABLE", 5),
    ],
)
def test_a_providers_refusal_is_a_clear_error(
    http: httpx.Client, provider: ScriptedProvider, directive: str, status: int, code: str, calls: int
) -> None:
    prompt = f"{uuid4()} [[{directive}]]"
    response = ask(http, prompt)
    assert (response.status_code, response.json()["error"]["error_code"]) == (status, code)
    assert len(provider.calls_of(prompt)) == calls
    assert ("retry-after" in response.headers) is (status in (429, 503))


def test_a_failure_that_may_pass_runs_again_under_the_same_id(
    http: httpx.Client, provider: ScriptedProvider
) -> None:
    # Given five failures, which is one run
    prompt = f"{uuid4()} [[status=500 times=5]]"
    request_id = str(uuid4())
    assert ask(http, prompt, request_id=request_id).status_code == 503
    # When the same is asked again
    body = ask(http, prompt, request_id=request_id).json()
    # Then it is answered, and the attempts went on counting
    assert (body["success"], body["performance"]["attempts"]) == (True, 6)
    assert len(provider.calls_of(prompt)) == 6


def test_a_failure_for_good_is_the_stored_failure_again(
    http: httpx.Client, provider: ScriptedProvider
) -> None:
    prompt = f"{uuid4()} [[status=400]]"
    request_id = str(uuid4())
    first = ask(http, prompt, request_id=request_id)
    again = ask(http, prompt, request_id=request_id)
    assert (first.status_code, again.status_code) == (400, 400)
    assert again.headers["idempotent-replayed"] == "true"
    assert len(provider.calls_of(prompt)) == 1


async def test_a_hundred_equal_requests_at_once_are_one_call(
    service_url: str, provider: ScriptedProvider
) -> None:
    body = {"user_prompt": f"{uuid4()} [[latency_ms=200]]", "request_id": str(uuid4())}
    async with httpx.AsyncClient(
        base_url=service_url, timeout=60, limits=httpx.Limits(max_connections=100)
    ) as http:
        responses = await asyncio.gather(*(http.post("/invoke", json=body) for _ in range(100)))
    assert {response.status_code for response in responses} == {200}
    assert len({response.json()["data"]["response"] for response in responses}) == 1
    assert len(provider.calls_of(body["user_prompt"])) == 1


def test_any_gateway_answers_for_a_job(cluster: Cluster) -> None:
    first, second = cluster.gateways
    prompt = f"{uuid4()} [[latency_ms=300]]"
    accepted = httpx.post(f"{first.url}/submit", json={"user_prompt": prompt}).json()
    read = httpx.get(f"{second.url}{accepted['status_url']}", params={"wait": "30"}, timeout=60)
    assert read.json()["data"]["response"] == f"echo: {prompt}"


def test_an_unknown_id_is_404(http: httpx.Client) -> None:
    for unknown in (str(uuid4()), "not-a-uuid"):
        response = http.get(f"/result/{unknown}")
        assert (response.status_code, response.json()["error"]["error_code"]) == (404, "NOT_FOUND")


def test_a_conversation_reaches_the_provider_in_order(http: httpx.Client) -> None:
    response = http.post(
        "/invoke",
        json={
            "user_prompt": "and last",
            "messages": [
                {"type": "system", "content": "Be brief"},
                {"role": "user", "content": "first"},
                {"type": "ai", "content": "second"},
            ],
        },
    )
    assert response.json()["data"]["response"] == "echo: and last"


def test_health_and_stats_and_docs(http: httpx.Client) -> None:
    health = http.get("/health").json()
    assert health["status"] == "healthy"
    assert set(health["dependencies"]) == {"redis", "kafka", "langchain"}
    assert http.get("/health/live").status_code == 200
    assert http.get("/health/ready").status_code == 200
    before = http.get("/stats").json()["total"]["requests"]
    ask(http, "counted")
    after = http.get("/stats").json()["total"]["requests"]
    assert after["succeeded"] == before["succeeded"] + 1
    assert http.get("/docs").status_code == 200
    assert "/invoke" in http.get("/openapi.json").json()["paths"]


def test_the_callers_trace_is_kept_and_a_wrong_one_is_replaced(http: httpx.Client) -> None:
    trace_id = uuid4().hex
    for traceparent, is_kept in ((f"00-{trace_id}-{'1' * 16}-01", True), (f"00-{trace_id}-short", False)):
        response = http.post("/invoke", json={}, headers={"traceparent": traceparent})
        assert (response.json()["error"]["trace_id"] == trace_id) is is_kept
