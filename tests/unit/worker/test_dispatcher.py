"""The dispatcher never commits above an unfinished record, whatever happens to its partitions."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError

from worker.dispatcher import Dispatcher, Limits
from worker.ports import Record
from worker.slots import Slots

TOPIC = "jobs"
FIRST = TopicPartition(TOPIC, 0)
SECOND = TopicPartition(TOPIC, 1)


@dataclass
class FakeRecord:
    partition: int
    offset: int
    value: bytes | None = b"{}"
    topic: str = TOPIC
    timestamp: int = 0
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass
class FakeConsumer:
    committed: dict[TopicPartition, int] = field(default_factory=dict)
    paused: set[TopicPartition] = field(default_factory=set)
    is_refusing: bool = False

    def pause(self, *partitions: TopicPartition) -> None:
        self.paused.update(partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        self.paused.difference_update(partitions)

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        if self.is_refusing:
            raise CommitFailedError
        self.committed.update(offsets)


class Handler:
    """Holds each record until the test lets it end."""

    def __init__(self) -> None:
        self.started: list[tuple[int, int]] = []
        self._ends: dict[tuple[int, int], asyncio.Future[float | None]] = {}

    async def __call__(self, record: Record) -> float | None:
        where = (record.partition, record.offset)
        self.started.append(where)
        self._ends[where] = asyncio.get_running_loop().create_future()
        return await self._ends[where]

    async def end(self, partition: int, offset: int, look_again_seconds: float | None = None) -> None:
        await until(lambda: (partition, offset) in self._ends)
        self._ends.pop((partition, offset)).set_result(look_again_seconds)
        await settle()


async def settle() -> None:
    """Let every task that can run, run."""
    for _ in range(10):
        await asyncio.sleep(0)


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_true():
            await asyncio.sleep(0)


@pytest.fixture
def handler() -> Handler:
    return Handler()


@pytest.fixture
def consumer() -> FakeConsumer:
    return FakeConsumer()


def limits(*, window_jobs: int = 100, partition_span: int = 100, patience_seconds: float = 60) -> Limits:
    return Limits(window_jobs, 1_000_000, partition_span, patience_seconds)


@pytest.fixture
async def dispatcher(handler: Handler, consumer: FakeConsumer) -> AsyncIterator[Dispatcher]:
    dispatcher = make(handler, consumer, limits())
    yield dispatcher
    await dispatcher.finish(0)


def make(handler: Handler, consumer: FakeConsumer, limits: Limits, concurrency: int = 100) -> Dispatcher:
    dispatcher = Dispatcher(handler, limits, Slots(concurrency))
    dispatcher.attach(consumer)
    return dispatcher


async def test_only_the_lowest_unfinished_offset_is_committed(
    dispatcher: Dispatcher, handler: Handler, consumer: FakeConsumer
) -> None:
    # Given three records in flight
    for offset in (5, 6, 7):
        await dispatcher.admit(FakeRecord(0, offset))
    # When the later ones finish first
    await handler.end(0, 7)
    await handler.end(0, 6)
    await dispatcher.commit()
    # Then the first still holds the commit back
    assert consumer.committed == {FIRST: 5}
    # And when it ends, the commit jumps over all of them
    await handler.end(0, 5)
    await dispatcher.commit()
    assert consumer.committed == {FIRST: 8}


async def test_partitions_do_not_hold_each_other_back(
    dispatcher: Dispatcher, handler: Handler, consumer: FakeConsumer
) -> None:
    await dispatcher.admit(FakeRecord(0, 1))
    await dispatcher.admit(FakeRecord(1, 1))
    await handler.end(1, 1)
    await dispatcher.commit()
    assert consumer.committed == {FIRST: 1, SECOND: 2}


async def test_a_record_that_must_be_looked_at_again_keeps_its_place(
    dispatcher: Dispatcher, handler: Handler, consumer: FakeConsumer
) -> None:
    await dispatcher.admit(FakeRecord(0, 1))
    await handler.end(0, 1, look_again_seconds=0)
    await until(lambda: handler.started.count((0, 1)) == 2)
    await dispatcher.commit()
    assert consumer.committed == {FIRST: 1}
    await handler.end(0, 1)
    await dispatcher.commit()
    assert consumer.committed == {FIRST: 2}


async def test_a_full_window_holds_the_next_record_back(handler: Handler, consumer: FakeConsumer) -> None:
    dispatcher = make(handler, consumer, limits(window_jobs=2))
    await dispatcher.admit(FakeRecord(0, 1))
    await dispatcher.admit(FakeRecord(0, 2))
    # When a third comes
    third = asyncio.create_task(dispatcher.admit(FakeRecord(0, 3)))
    await settle()
    assert not third.done()
    # Then it enters as soon as one ends
    await handler.end(0, 1)
    await third
    await until(lambda: (0, 3) in handler.started)
    await dispatcher.finish(0)


async def test_bytes_fill_the_window_too(handler: Handler, consumer: FakeConsumer) -> None:
    dispatcher = Dispatcher(handler, Limits(100, 1000, 100, 60), Slots(100))
    dispatcher.attach(consumer)
    await dispatcher.admit(FakeRecord(0, 1, value=b"x" * 1000))
    second = asyncio.create_task(dispatcher.admit(FakeRecord(0, 2)))
    await settle()
    assert not second.done()
    await handler.end(0, 1)
    await second
    await dispatcher.finish(0)


async def test_patience_with_a_full_window_ends_before_the_partition_would_be_lost(
    handler: Handler, consumer: FakeConsumer
) -> None:
    dispatcher = make(handler, consumer, limits(window_jobs=1, patience_seconds=0.01))
    await dispatcher.admit(FakeRecord(0, 1))
    await dispatcher.admit(FakeRecord(0, 2))
    await until(lambda: (0, 2) in handler.started)
    assert dispatcher.in_flight == 2
    await dispatcher.finish(0)


async def test_fewer_run_than_are_held(handler: Handler, consumer: FakeConsumer) -> None:
    dispatcher = make(handler, consumer, limits(), concurrency=1)
    await dispatcher.admit(FakeRecord(0, 1))
    await dispatcher.admit(FakeRecord(0, 2))
    await settle()
    assert handler.started == [(0, 1)]
    await handler.end(0, 1)
    await until(lambda: handler.started == [(0, 1), (0, 2)])
    await dispatcher.finish(0)


async def test_a_partition_that_spreads_too_far_pauses_and_resumes_at_half(
    handler: Handler, consumer: FakeConsumer
) -> None:
    dispatcher = make(handler, consumer, limits(partition_span=4))
    for offset in range(4):
        await dispatcher.admit(FakeRecord(0, offset))
    assert consumer.paused == {FIRST}
    await handler.end(0, 0)
    assert consumer.paused == {FIRST}
    await handler.end(0, 1)
    assert consumer.paused == set()
    await dispatcher.finish(0)


async def test_on_revoke_what_is_finished_is_committed_and_the_rest_never_is(
    dispatcher: Dispatcher, handler: Handler, consumer: FakeConsumer
) -> None:
    # Given one finished and one running record
    await dispatcher.admit(FakeRecord(0, 1))
    await dispatcher.admit(FakeRecord(0, 2))
    await handler.end(0, 1)
    # When the partition is revoked
    await dispatcher.revoke([FIRST])
    assert consumer.committed == {FIRST: 2}
    # Then the running one goes on, and its end is committed by nobody here
    await handler.end(0, 2)
    await dispatcher.commit()
    assert consumer.committed == {FIRST: 2}


async def test_a_record_waiting_for_a_slot_is_left_to_the_next_owner(
    handler: Handler, consumer: FakeConsumer
) -> None:
    dispatcher = make(handler, consumer, limits(), concurrency=1)
    await dispatcher.admit(FakeRecord(0, 1))
    await dispatcher.admit(FakeRecord(0, 2))
    await until(lambda: handler.started == [(0, 1)])
    await dispatcher.revoke([FIRST])
    await handler.end(0, 1)
    await until(lambda: dispatcher.in_flight == 0)
    assert handler.started == [(0, 1)]


async def test_a_record_fetched_before_a_rebalance_does_not_enter_the_new_ledger(
    handler: Handler, consumer: FakeConsumer
) -> None:
    dispatcher = make(handler, consumer, limits(window_jobs=1))
    await dispatcher.admit(FakeRecord(0, 1))
    # Given a record that waits for room
    stale = asyncio.create_task(dispatcher.admit(FakeRecord(0, 2)))
    await settle()
    # When the partition is revoked and comes back, and then there is room
    await dispatcher.revoke([FIRST])
    await handler.end(0, 1)
    await stale
    # Then the stale record is dropped, and its redelivery is taken
    await dispatcher.admit(FakeRecord(0, 1))
    await until(lambda: handler.started.count((0, 1)) == 2)
    assert (0, 2) not in handler.started
    await dispatcher.commit()
    assert consumer.committed == {FIRST: 1}
    await dispatcher.finish(0)


async def test_a_refused_commit_is_tried_again(
    dispatcher: Dispatcher, handler: Handler, consumer: FakeConsumer
) -> None:
    await dispatcher.admit(FakeRecord(0, 1))
    await handler.end(0, 1)
    consumer.is_refusing = True
    await dispatcher.commit()
    assert consumer.committed == {}
    consumer.is_refusing = False
    await dispatcher.commit()
    assert consumer.committed == {FIRST: 2}


async def test_leaving_admits_nothing_more_and_lets_running_records_end(
    dispatcher: Dispatcher, handler: Handler
) -> None:
    await dispatcher.admit(FakeRecord(0, 1))
    await until(lambda: (0, 1) in handler.started)
    await dispatcher.leave()
    await dispatcher.admit(FakeRecord(0, 2))
    finishing = asyncio.create_task(dispatcher.finish(5))
    await settle()
    assert not finishing.done()
    await handler.end(0, 1)
    assert await finishing == 0
    assert handler.started == [(0, 1)]


async def test_what_does_not_end_in_time_is_cut_off_and_counted(
    dispatcher: Dispatcher, handler: Handler
) -> None:
    await dispatcher.admit(FakeRecord(0, 1))
    await until(lambda: (0, 1) in handler.started)
    assert await dispatcher.finish(0.01) == 1


async def test_a_record_whose_handler_crashes_keeps_its_place(consumer: FakeConsumer) -> None:
    crashed = asyncio.Event()

    async def crash(_: Record) -> float | None:
        crashed.set()
        raise ZeroDivisionError

    dispatcher = Dispatcher(crash, limits(), Slots(100))
    dispatcher.attach(consumer)
    await dispatcher.admit(FakeRecord(0, 1))
    await crashed.wait()
    await settle()
    await dispatcher.commit()
    assert (consumer.committed, dispatcher.in_flight) == ({FIRST: 1}, 1)
    await dispatcher.finish(0)


async def test_what_was_told_of_records_is_settled_before_they_are_committed(
    handler: Handler, consumer: FakeConsumer
) -> None:
    told = asyncio.Event()
    dispatcher = Dispatcher(handler, limits(), Slots(100), settled=told.wait)  # type: ignore[arg-type] # its answer is not read
    dispatcher.attach(consumer)
    await dispatcher.admit(FakeRecord(0, 7))
    await handler.end(0, 7)
    committing = asyncio.create_task(dispatcher.commit())
    await settle()
    assert consumer.committed == {}
    told.set()
    await committing
    assert consumer.committed == {FIRST: 8}
