"""The same request posted many times at once, over two gateways."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import orjson
import pytest

from shared.adapters.redis_result_store import connect_redis_result_store
from shared.domain.job import job_from_body
from shared.domain.validation import parse_invoke_body
from shared.ports import Reserved
from shared.settings import ServiceSettings
from tests.chaos.callers import Callers
from tests.chaos.deployment import Deployment, Surroundings
from tests.chaos.offered_job import Answer, OfferedJob, as_first_answered, body_of
from tests.support.provider_process import ScriptedProvider
from tests.support.running import RunningServers
from tests.support.server import AnyKafka, AnyRedis

_TIMES = 100

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def deployment(
    real_kafka: AnyKafka,
    any_redis: AnyRedis,
    servers: RunningServers,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deployment]:
    """Two gateways and two workers for all tests."""
    surroundings = Surroundings(real_kafka, any_redis, servers.get(ScriptedProvider))
    with Deployment(surroundings, tmp_path_factory.mktemp("logs"), {}) as deployment:
        deployment.start(gateways=2, workers=2)
        yield deployment
        assert not deployment.complaints()


@pytest.fixture
async def callers(deployment: Deployment) -> AsyncIterator[Callers]:
    async with Callers([gateway.url for gateway in deployment.gateways]) as callers:
        yield callers


@pytest.mark.parametrize("latency_ms", [0, 50, 1000])
async def test_one_call_and_equal_answers(
    latency_ms: int, callers: Callers, surroundings: Surroundings
) -> None:
    surroundings.provider.script(latency_ms=latency_ms)
    job = OfferedJob(f"asked {_TIMES} times, {latency_ms} ms", is_waiting=True)

    answers = await asyncio.gather(*(callers.post(job) for _ in range(_TIMES)))

    assert len(surroundings.provider.calls_of(job.prompt)) == 1
    assert _statuses(answers) == {200: _TIMES}
    first, *others = [as_first_answered(answer) for answer in answers if answer]
    assert [other for other in others if other != first] == []
    assert first["data"]["response"] == f"echo: {job.prompt}"
    assert first["possible_duplicate_charge"] is False


async def test_who_does_not_wait_gets_the_same_job(callers: Callers, surroundings: Surroundings) -> None:
    surroundings.provider.script(latency_ms=300)
    job = OfferedJob("left and read later", is_waiting=False)

    answers = await asyncio.gather(*(callers.post(job) for _ in range(_TIMES)))
    job.is_waiting = True
    answered = await callers.post(job)

    assert len(surroundings.provider.calls_of(job.prompt)) == 1
    assert _statuses(answers).keys() <= {200, 202}
    assert answered is not None
    assert body_of(answered)["data"]["response"] == f"echo: {job.prompt}"


async def test_a_claim_without_a_job_does_not_hold_its_id_back(
    callers: Callers, surroundings: Surroundings
) -> None:
    """A gateway died, or lost Redis, after it had claimed the id and before it could enqueue the job."""
    job = OfferedJob("asked again after a gateway's death", is_waiting=True)
    await _claim_like_a_dying_gateway(job, surroundings)

    answered = await callers.post(job)

    assert answered is not None
    assert answered.status == 200
    assert body_of(answered)["data"]["response"] == f"echo: {job.prompt}"


async def _claim_like_a_dying_gateway(job: OfferedJob, surroundings: Surroundings) -> None:
    body = parse_invoke_body(orjson.dumps({"request_id": job.request_id, "user_prompt": job.prompt}))
    claimed = job_from_body(body, ServiceSettings(_env_file=None).model_defaults())
    store = connect_redis_result_store(
        surroundings.redis.url, max_connections=2, retention=timedelta(hours=1)
    )
    async with store as claims:
        claim = await claims.reserve(claimed.id, claimed.fingerprint, "a dead gateway's", claimed.deadline)
    assert claim == Reserved()


def _statuses(answers: list[Answer | None]) -> Counter[int]:
    """0: no answer at all."""
    return Counter(answer.status if answer else 0 for answer in answers)
