"""What limits cost a worker: the end of a hold travels with the result, before it."""

import asyncio
from datetime import timedelta
from typing import Any

from hiredis import Reader

from shared.adapters.job_limits import redis_limits
from shared.adapters.redis_result_store import RedisResultStore
from shared.domain.limits import Limits, LimitTable
from shared.ports import Run
from tests.support.jobs import make_job, make_success


class Exchanges:
    """A Redis client whose one connection answers every script, and keeps what went out together."""

    def __init__(self) -> None:
        self.sent: list[list[list[bytes]]] = []
        self.connection_pool = self

    def make_connection(self) -> "Exchanges":
        return self

    async def exchange(self, commands: bytes, count: int) -> list[Any]:
        reader = Reader()
        reader.feed(commands)
        self.sent.append([reader.gets() for _ in range(count)])
        return [[b"saved"]] * count


async def is_available() -> bool:
    return True


async def sent_at_the_end(limits: Limits) -> list[list[str]]:
    client = Exchanges()
    store = RedisResultStore(client, timedelta(hours=1))  # type: ignore[arg-type]
    table = LimitTable(Limits(), {"public": limits, "other": Limits(jobs_in_flight=1)})
    job_limits = redis_limits(table, {}, store, is_available, None)
    assert job_limits is not None
    job = make_job()
    result = make_success(job)
    await asyncio.gather(
        job_limits.settle(job.id, result), store.save(Run(job.id, "token", job.fingerprint), result)
    )
    return [[command[3].decode().split(":")[1] for command in batch] for batch in client.sent]


async def test_a_hold_ends_in_the_round_trip_that_stores_the_result_and_before_it() -> None:
    assert await sent_at_the_end(Limits(jobs_in_flight=1)) == [["limits", "job"]]


async def test_an_owner_without_limits_sends_nothing_more() -> None:
    assert await sent_at_the_end(Limits()) == [["job"]]
