"""Every place for answers that are being written, as a worker and a gateway see it."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from shared.adapters.memory_answer_streams import MemoryAnswerStreams
from shared.adapters.memory_result_store import MemoryResultStore
from shared.adapters.redis_answer_streams import RedisAnswerStreams
from shared.adapters.redis_result_store import connect_redis_result_store
from shared.domain.job import JobId
from shared.ports import AnswerStreams, Begun, ResultStore, Run

RETENTION = timedelta(hours=1)


@dataclass(frozen=True)
class Streams:
    """Two ends; where processes can share them, over two connections."""

    store: ResultStore
    worker: AnswerStreams
    gateway: AnswerStreams
    gateway_store: ResultStore

    async def begin(self, job_id: JobId, token: str) -> Run:
        run = Run(job_id, token, "f" * 64)
        deadline = datetime.now(UTC) + timedelta(minutes=1)
        assert isinstance(await self.store.begin(run, 0.001, deadline), Begun)
        return run

    async def pieces(self, job_id: JobId, after: int = 0) -> list[tuple[int, bytes]]:
        return [(piece.position, piece.json) for piece in await self.gateway.read(job_id, after)]


@asynccontextmanager
async def _memory() -> AsyncIterator[Streams]:
    store, streams = MemoryResultStore(RETENTION), MemoryAnswerStreams()
    yield Streams(store, streams, streams, store)


@asynccontextmanager
async def _redis(url: str) -> AsyncIterator[Streams]:
    async with (
        connect_redis_result_store(url, max_connections=5, retention=RETENTION) as worker,
        connect_redis_result_store(url, max_connections=5, retention=RETENTION) as gateway,
    ):
        streams = Streams(worker, RedisAnswerStreams(worker), RedisAnswerStreams(gateway), gateway)
        await _until_it_listens(streams)
        yield streams


async def _until_it_listens(streams: Streams) -> None:
    """What is published before a gateway has subscribed wakes nobody; gateways look again after a second."""
    job_id = JobId("public", str(uuid4()))
    run = await streams.begin(job_id, "first")
    with streams.gateway_store.watch(job_id), streams.gateway.follow(job_id) as news:
        await streams.gateway_store.get(job_id)
        for number in itertools.count(1):
            await streams.worker.append(run, number, [b"a"])
            with suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), 0.05)
                return


@pytest.fixture
async def streams(memory_or_redis: str | None) -> AsyncIterator[Streams]:
    async with _redis(memory_or_redis) if memory_or_redis else _memory() as streams:
        yield streams


@pytest.fixture
def job_id() -> JobId:
    return JobId("public", str(uuid4()))


async def test_pieces_are_read_in_order_from_any_position(streams: Streams, job_id: JobId) -> None:
    run = await streams.begin(job_id, "one")
    assert await streams.pieces(job_id) == []
    assert await streams.worker.append(run, 1, [b"a", b"b"])
    assert await streams.worker.append(run, 3, [b"c"])
    assert await streams.pieces(job_id) == [(1, b"a"), (2, b"b"), (3, b"c")]
    assert await streams.pieces(job_id, 2) == [(3, b"c")]
    assert await streams.pieces(job_id, 3) == await streams.pieces(job_id, 300) == []


async def test_a_repeated_step_adds_nothing_twice(streams: Streams, job_id: JobId) -> None:
    run = await streams.begin(job_id, "one")
    for _ in range(2):
        assert await streams.worker.append(run, 1, [b"a", b"b"])
    assert await streams.worker.append(run, 2, [b"b", b"c"])
    assert await streams.pieces(job_id) == [(1, b"a"), (2, b"b"), (3, b"c")]


async def test_a_later_run_goes_on_and_the_earlier_writes_nothing_more(
    streams: Streams, job_id: JobId
) -> None:
    first = await streams.begin(job_id, "one")
    assert await streams.worker.append(first, 1, [b"a"])
    await asyncio.sleep(0.01)  # the lease ends
    second = await streams.begin(job_id, "two")
    assert await streams.worker.append(second, 1, [b"b"])
    assert not await streams.worker.append(first, 2, [b"c"])
    assert await streams.worker.append(second, 2, [b"d"])
    assert await streams.pieces(job_id) == [(1, b"a"), (2, b"b"), (3, b"d")]


async def test_each_owner_has_its_own(streams: Streams, job_id: JobId) -> None:
    run = await streams.begin(job_id, "one")
    await streams.worker.append(run, 1, [b"a"])
    assert await streams.pieces(JobId("other", job_id.request_id)) == []


async def test_who_follows_is_woken_and_nobody_else(streams: Streams, job_id: JobId) -> None:
    run, other = await streams.begin(job_id, "one"), JobId("public", str(uuid4()))
    with streams.gateway_store.watch(job_id), streams.gateway.follow(job_id) as news:
        await streams.gateway_store.get(job_id)  # whoever writes knows of the gateway from now on
        with streams.gateway.follow(other) as others:
            await streams.worker.append(run, 1, [b"a"])
            async with asyncio.timeout(10):
                await news.wait()
            assert not others.is_set()


async def test_a_long_stream_is_read_some_at_a_time(streams: Streams, job_id: JobId) -> None:
    run = await streams.begin(job_id, "one")
    pieces = [b"%d" % number for number in range(1, 1201)]
    for start in range(0, 1200, 300):
        await streams.worker.append(run, start + 1, pieces[start : start + 300])
    found: list[tuple[int, bytes]] = []
    while more := await streams.pieces(job_id, len(found)):
        assert len(more) <= 500
        found += more
    assert found == list(enumerate(pieces, 1))


async def test_memory_forgets_what_nobody_writes_to_any_more(job_id: JobId) -> None:
    now = 0.0
    streams = MemoryAnswerStreams(lambda: now)
    await streams.append(Run(job_id, "one", "f"), 1, [b"a"])
    now = 599.0
    assert len(await streams.read(job_id, 0)) == 1
    now = 601.0
    assert await streams.read(job_id, 0) == ()


async def test_memory_is_bounded_and_what_was_written_to_first_goes_first() -> None:
    streams = MemoryAnswerStreams(most_bytes=100)
    runs = [Run(JobId("public", str(number)), "one", "f") for number in range(3)]
    for run in runs:
        await streams.append(run, 1, [b"a" * 60])
    assert [len(await streams.read(run.id, 0)) for run in runs] == [0, 0, 1]
