"""A flood of callers who wait: those beyond the limit are turned away unread, and come in when they obey."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.e2e.conftest import KINDS, provider_settings, service_of
from tests.support.provider_process import ScriptedProvider
from tests.support.raw_http import connected, post_head
from tests.support.server import AnyKafka, AnyRedis
from tests.support.service_processes import Service, logged, one_process

pytestmark = pytest.mark.campaign

NARROW = {"LLM_MAX_QUEUE_SECONDS": "0.2", "WORKER_CONCURRENCY": "2", "WORKER_WINDOW_JOBS": "200"}
CALLERS = 60
MOST_REPEATS = 20


@pytest.fixture(params=KINDS)
def service(
    request: pytest.FixtureRequest,
    apache_kafka: AnyKafka,
    any_redis: AnyRedis,
    _provider: ScriptedProvider,
    tmp_path: Path,
) -> Iterator[Service]:
    """Room for two calls, and callers who may wait for a fifth of a second."""
    with service_of(request.param, apache_kafka, any_redis, _provider, tmp_path, **NARROW) as (service, _):
        yield service


@dataclass
class Caller:
    """Asks until there is an answer, and comes again when told."""

    request_id: str = field(default_factory=lambda: str(uuid4()))
    refusals: list[httpx.Response] = field(default_factory=list)

    async def ask(self, http: httpx.AsyncClient) -> httpx.Response:
        answer = await post(http, self.request_id)
        while answer.status_code == 503 and len(self.refusals) < MOST_REPEATS:
            self.refusals.append(answer)
            await asyncio.sleep(int(answer.headers["retry-after"]))
            answer = await post(http, self.request_id)
        return answer


async def post(http: httpx.AsyncClient, request_id: str, latency_ms: int = 250) -> httpx.Response:
    prompt = f"{request_id} [[latency_ms={latency_ms}]]"
    return await http.post("/invoke", json={"user_prompt": prompt, "request_id": request_id})


async def figure(http: httpx.AsyncClient, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", (await http.get("/metrics")).text, re.MULTILINE)
    return float(found[1]) if found else 0.0


@asynccontextmanager
async def flood(service: Service) -> AsyncIterator[tuple[httpx.AsyncClient, list[Caller], "Asked"]]:
    """Callers who came at once, of whom more are in than the limit lets."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=service.url, timeout=90, limits=limits) as http:
        callers = [Caller() for _ in range(CALLERS)]
        asked = [asyncio.create_task(caller.ask(http)) for caller in callers]
        async with asyncio.timeout(30):
            while await figure(http, "llm_requests_in_flight_limit") == float("inf"):
                await asyncio.sleep(0)
        yield http, callers, asked
        await asyncio.gather(*asked)


Asked = list[asyncio.Task[httpx.Response]]


async def test_a_flood_is_turned_away_and_who_obeys_is_answered(
    service: Service, provider: ScriptedProvider
) -> None:
    # Given more callers than may wait
    async with flood(service) as (http, callers, asked):
        # When more of them come
        late = [Caller() for _ in range(20)]
        first = [await post(http, caller.request_id) for caller in late]
        # Then they are refused, unread, with a reason and a time
        for answer in first:
            error = answer.json()["error"]
            assert (answer.status_code, error["error_code"], error["retryable"]) == (503, "QUEUE_FULL", True)
            assert "LLM_MAX_QUEUE_SECONDS allows (0.2 s)" in error["message"]
            assert int(answer.headers["retry-after"]) == error["details"]["retry_after_seconds"] > 0
            assert answer.json()["success"] is False
            assert len(error["trace_id"]) == 32
        assert await figure(http, "llm_turned_away_total") >= len(late)
        assert await figure(http, 'llm_refusals_total{error_code="QUEUE_FULL"}') >= len(late)
        # And their ids are free
        assert {(await http.get(f"/result/{caller.request_id}")).status_code for caller in late} == {404}
        # And everybody who comes when told is answered, once, before long
        answers = await asyncio.gather(*asked, *(caller.ask(http) for caller in late))
        assert [answer.status_code for answer in answers] == [200] * (CALLERS + len(late))
        assert all(
            str(caller.request_id) in told.text for caller, told in zip(callers + late, answers, strict=True)
        )
    assert provider.count() == CALLERS + 20
    assert len(logged(service.child, "turning_away")) >= 1


async def test_when_the_flood_is_over_the_limit_is_gone(service: Service) -> None:
    async with flood(service) as (http, _, asked):
        await asyncio.gather(*asked)
        async with asyncio.timeout(30):
            while await figure(http, "llm_requests_in_flight_limit") != float("inf"):
                await asyncio.sleep(0.1)
                await post(http, str(uuid4()), 0)
        # The load of a second ago may still be told, so even now somebody may have to come again
        assert (await Caller().ask(http)).status_code == 200
        assert await figure(http, "llm_requests_in_flight") == 0


async def test_what_is_turned_away_is_well_formed_http(provider: ScriptedProvider, tmp_path: Path) -> None:
    settings = provider_settings(provider) | {"REDIS_ENABLED": "false"} | NARROW
    with one_process(tmp_path, **settings) as service:
        async with flood(service) as (http, _, _):
            # OpenAI's form for OpenAI's path, and the caller's own trace
            trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
            answer = await http.post(
                "/v1/chat/completions",
                json={"messages": [{"role": "user", "content": "x"}]},
                headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"},
            )
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "queue_full")
            assert answer.json()["error"]["trace_id"] == trace_id == answer.headers["x-request-id"]
            # What asks for no job is answered as ever
            assert (await http.get("/health/live")).status_code == 200
            await asyncio.to_thread(check_connections, service.url)


def check_connections(url: str) -> None:
    body = b'{"user_prompt": "x"}'
    with connected(url) as connection:  # many at once, in pieces, and the connection stays
        connection.send((post_head(len(body)) + body) * 400 + post_head(len(body)) + body[:5])
        assert {connection.answer()[0] for _ in range(401)} == {503}
        connection.send(body[5:] + b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        assert connection.answer()[0] == 200
    with connected(url) as connection:  # behind a request that is being answered
        connection.send(b"GET /stats HTTP/1.1\r\nhost: x\r\n\r\n" + (post_head(len(body)) + body) * 400)
        assert connection.answer()[0] == 200
        assert {connection.answer()[0] for _ in range(400)} == {503}
    for head in (post_head(900_000), post_head(5, "expect: 100-continue")):  # nobody waits for the body
        with connected(url) as connection:
            connection.send(head)
            assert connection.answer()[0] == 503
            assert connection.is_closed()
