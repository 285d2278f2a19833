"""What a gateway tells Prometheus."""

from uuid import uuid4

import httpx
from prometheus_client.parser import text_string_to_metric_families

from shared.ports import Run
from tests.support.jobs import make_success
from tests.unit.gateway.gateway_in_process import Gateway, gateway_in_process

BODY = {"user_prompt": "x", "temperature": 0}


async def samples(http: httpx.AsyncClient) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every series that `/metrics` shows, with its value."""
    text = (await http.get("/metrics")).text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def throw_odd_requests(http: httpx.AsyncClient) -> None:
    odd = uuid4().hex
    for method in ("GET", "POST", "BREW", f"M{odd[:9].upper()}"):
        for path in (f"/{odd}", f"/result/{odd}", f"/result/{uuid4()}", f"/v1/{odd}", f"/v1/models/{odd}"):
            await http.request(method, f"{path}?{odd}={odd}")
    headers = {"Authorization": f"Bearer {odd}", "Prefer": odd, "traceparent": odd}
    for body in (
        {"user_prompt": "x", "model": odd},
        {"user_prompt": "x", "metadata": {odd: odd}},
        {odd: odd},
    ):
        await http.post("/submit", json=body, headers=headers)


async def test_odd_paths_methods_and_models_make_a_bounded_number_of_series() -> None:
    async with gateway_in_process() as gateway:
        await throw_odd_requests(gateway.http)
        await samples(gateway.http)
        first = await samples(gateway.http)
        for _ in range(5):
            await throw_odd_requests(gateway.http)
        assert (await samples(gateway.http)).keys() == first.keys()


async def told(gateway: Gateway, name: str, **labels: str) -> float:
    return (await samples(gateway.http)).get((name, frozenset(labels.items())), 0.0)


async def test_it_counts_what_was_joined_and_what_was_cached() -> None:
    async with gateway_in_process(LLM_RESPONSE_CACHE="deterministic") as gateway:
        joins = await told(gateway, "llm_joins_total")
        misses = await told(gateway, "llm_cache_lookups_total", outcome="miss")
        hits = await told(gateway, "llm_cache_lookups_total", outcome="hit")
        # Given a job that waits, when the same is asked again, then that is a join
        asked = BODY | {"request_id": str(uuid4())}
        for _ in range(2):
            assert (await gateway.http.post("/submit", json=asked)).status_code == 202
        assert await told(gateway, "llm_joins_total") == joins + 1
        assert await told(gateway, "llm_cache_lookups_total", outcome="miss") == misses + 1
        # And when its answer is kept, the same under another id is a hit
        job = gateway.queue.jobs[0]
        await gateway.cache.keep(Run(job.id, "token", job.fingerprint), make_success(job), 60)
        answer = await gateway.http.post("/submit", json=BODY | {"request_id": str(uuid4())})
        assert answer.status_code == 200
        assert await told(gateway, "llm_cache_lookups_total", outcome="hit") == hits + 1


async def test_it_says_what_runs_and_names_no_dependency_that_it_does_not_have() -> None:
    async with gateway_in_process(LLM_VERSION="7.8.9", REDIS_ENABLED="false") as gateway:
        assert await told(gateway, "llm_build_info", component="one_process", version="7.8.9") == 1
        assert await told(gateway, "process_start_time_seconds") > 0
