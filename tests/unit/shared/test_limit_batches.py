"""What limits cost a worker: the end of a hold travels with the result, before it."""

import asyncio
from datetime import timedelta
from typing import Any

from shared.adapters.job_limits import redis_limits
from shared.adapters.redis_result_store import RedisResultStore
from shared.domain.limits import Limits, LimitTable
from shared.ports import Run
from tests.support.jobs import make_job, make_success


class Pipelines:
    """A Redis client that answers every script, and keeps what went out together."""

    def __init__(self) -> None:
        self.sent: list[list[tuple[Any, ...]]] = []

    def pipeline(self, *, transaction: bool) -> "Pipelines":
        self.sent.append([])
        return self

    def execute_command(self, *command: Any) -> None:
        self.sent[-1].append(command)

    async def execute(self, *, raise_on_error: bool) -> list[Any]:
        return [[b"saved"] for _ in self.sent[-1]]


async def is_available() -> bool:
    return True


async def sent_at_the_end(limits: Limits) -> list[list[str]]:
    client = Pipelines()
    store = RedisResultStore(client, timedelta(hours=1))  # type: ignore[arg-type]
    table = LimitTable(Limits(), {"public": limits, "other": Limits(jobs_in_flight=1)})
    job_limits = redis_limits(table, {}, store, is_available, None)
    assert job_limits is not None
    job = make_job()
    result = make_success(job)
    await asyncio.gather(
        job_limits.settle(job.id, result), store.save(Run(job.id, "token", job.fingerprint), result)
    )
    return [[str(command[3]).split(":")[1] for command in batch] for batch in client.sent]


async def test_a_hold_ends_in_the_round_trip_that_stores_the_result_and_before_it() -> None:
    assert await sent_at_the_end(Limits(jobs_in_flight=1)) == [["limits", "job"]]


async def test_an_owner_without_limits_sends_nothing_more() -> None:
    assert await sent_at_the_end(Limits()) == [["job"]]
