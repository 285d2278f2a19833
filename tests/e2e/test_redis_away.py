"""Redis goes away under a running cluster and comes back with nothing: jobs flow, no call is repeated."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import httpx

from tests.e2e.conftest import cluster_settings
from tests.e2e.test_lifecycle import until
from tests.e2e.test_metrics import health_url
from tests.support.provider_process import ScriptedProvider
from tests.support.redis_process import RedisServer
from tests.support.redis_servers import any_binary
from tests.support.server import AnyKafka
from tests.support.service_processes import Service, gateway, logged, worker


def ask(service: Service, prompt: str, request_id: str) -> httpx.Response:
    body = {"user_prompt": prompt, "request_id": request_id}
    return httpx.post(f"{service.url}/invoke", json=body, timeout=60)


def text_of(service: Service, request_id: str) -> str | None:
    body = httpx.get(f"{service.url}/result/{request_id}", params={"wait": "20"}, timeout=60).json()
    text: str | None = body["data"]["response"] if body.get("data") else None
    return text


def health_of(service: Service) -> tuple[int, str]:
    health = httpx.get(f"{service.url}/health")
    return health.status_code, health.json()["status"]


def needs_of(url: str) -> dict[str, float]:
    """What a process says that it can use."""
    lines = (line.split() for line in httpx.get(f"{url}/metrics").text.splitlines())
    told = {words[0]: float(words[1]) for words in lines if words[0].startswith("llm_dependency_up")}
    return {name.split('"')[1]: up for name, up in told.items()}


def test_jobs_flow_while_redis_is_away_and_results_are_in_it_afterwards(
    apache_kafka: AnyKafka, provider: ScriptedProvider, tmp_path: Path
) -> None:
    before, across, meanwhile = (f"{word} {uuid4()}" for word in ("before", "[[latency_ms=3000]]", "away"))
    ids = {prompt: str(uuid4()) for prompt in (before, across, meanwhile)}
    with RedisServer(any_binary()) as redis:
        settings = cluster_settings(apache_kafka, redis, provider)
        with (
            gateway(tmp_path, "one", **settings) as one,
            gateway(tmp_path, "two", **settings) as two,
            worker(tmp_path, **settings) as running,
            ThreadPoolExecutor() as threads,
        ):
            # Given a finished job, and a caller who waits for a running one
            assert ask(one, before, ids[before]).status_code == 200
            waiting = threads.submit(ask, one, across, ids[across])
            until(lambda: len(provider.calls_of(across)) == 1)
            # When Redis dies
            redis.kill()
            # Then a new job is answered, at any gateway, and again under the same id without a call
            assert ask(one, meanwhile, ids[meanwhile]).status_code == 200
            assert text_of(two, ids[meanwhile]) == f"echo: {meanwhile}"
            assert ask(one, meanwhile, ids[meanwhile]).json()["cached"] is True
            # And who waited is answered, everybody says degraded, and what nobody can know is not denied
            assert waiting.result().json()["data"]["response"] == f"echo: {across}"
            assert health_of(one) == health_of(two) == (200, "degraded")
            unknown = httpx.get(f"{one.url}/result/{uuid4()}", timeout=60)
            assert (unknown.status_code, unknown.json()["error"]["error_code"]) == (503, "STORE_UNAVAILABLE")
            # And Prometheus is told so by gateways and workers
            for url in (one.url, two.url, health_url(running)):
                until(lambda url=url: needs_of(url) == {"redis": 0, "kafka": 1})  # type: ignore[misc] # a lambda
            # When Redis is back with nothing in it
            redis.restart()
            until(lambda: health_of(one) == health_of(two) == (200, "healthy"))
            until(lambda: needs_of(health_url(running)) == {"redis": 1, "kafka": 1})
            until(lambda: any(line["results"] == len(ids) for line in logged(running, "results_restored")))
            # Then a gateway that was not there reads every result from it
            with gateway(tmp_path, "new", **settings) as new:
                assert {prompt: text_of(new, ids[prompt]) for prompt in ids} == {
                    prompt: f"echo: {prompt}" for prompt in ids
                }
                assert ask(new, before, ids[before]).json()["cached"] is True
    # And nothing was called twice, or said to be
    assert [len(provider.calls_of(prompt)) for prompt in ids] == [1, 1, 1]


def test_a_job_that_must_not_be_called_twice_waits_for_redis_if_it_may_have_been(
    apache_kafka: AnyKafka, provider: ScriptedProvider, tmp_path: Path
) -> None:
    prompt, request_id = f"once {uuid4()} [[latency_ms=60000]]", str(uuid4())
    with RedisServer(any_binary()) as redis:
        settings = cluster_settings(apache_kafka, redis, provider)
        with gateway(tmp_path, **settings) as service:
            # Given such a job, whose worker dies during the call, and then Redis freezes
            with worker(tmp_path, "dying", **settings) as dying:
                body = {"user_prompt": prompt, "request_id": request_id, "on_unknown": "fail"}
                httpx.post(f"{service.url}/submit", json=body, timeout=60)
                until(lambda: len(provider.calls_of(prompt)) == 1)
                redis.pause()
                dying.kill()
            # When another worker gets the record, then it does not call
            with worker(tmp_path, "next", **settings) as following:
                until(lambda: bool(logged(following, "job_waits_for_store")), 60)
                # And once Redis can tell what was, the job fails
                redis.resume()
                until(lambda: health_of(service) == (200, "healthy"))
                url = f"{service.url}/result/{request_id}"
                until(lambda: httpx.get(url, timeout=60).json().get("status") == "failed", 60)
                assert httpx.get(url).json()["error"]["error_code"] == "UNKNOWN_OUTCOME"
    assert len(provider.calls_of(prompt)) == 1
