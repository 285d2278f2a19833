"""Slots and window are shared by the lanes' weights, and no promise of the dispatcher gets weaker."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

from aiokafka import TopicPartition

from shared.domain.priority import PRIORITIES, Priority, lanes_of, parse_weights
from tests.unit.worker.test_dispatcher import FakeConsumer, FakeRecord, limits, settle, until
from worker.dispatcher import Dispatcher, Lanes
from worker.lane_gate import LaneGate
from worker.ports import Record
from worker.slots import Slots
from worker.window import Window

TOPICS = lanes_of("jobs")
WEIGHTS = parse_weights("6:3:1")
LANES = Lanes({topic: priority for priority, topic in TOPICS.items()}, WEIGHTS)
PRIORITY_OF = LANES.by_topic


class Calls:
    """Calls that end when the test says so, in the order in which they began."""

    def __init__(self) -> None:
        self.begun: list[Priority] = []
        self._running: list[asyncio.Future[None]] = []

    async def __call__(self, record: Record) -> float | None:
        self.begun.append(PRIORITY_OF[record.topic])
        running = asyncio.get_running_loop().create_future()
        self._running.append(running)
        await running
        return None

    @property
    def running(self) -> int:
        return len(self._running)

    async def end(self, count: int = 1) -> None:
        for _ in range(count):
            self._running.pop(0).set_result(None)
        await settle()


class Backlog:
    """A lane of Kafka with more records than anybody takes, and the loop that brings them."""

    def __init__(self, dispatcher: Dispatcher, priority: Priority, length: int = 10_000) -> None:
        self._dispatcher = dispatcher
        self._topic = TOPICS[priority]
        self._next = 0
        self._length = length

    async def bring(self) -> None:
        while self._next < self._length:
            [[record]] = (await self._fetch(1)).values()
            await self._dispatcher.admit(record, self._fetch)

    async def _fetch(self, most: int) -> Mapping[TopicPartition, Sequence[Record]]:
        count = min(most, self._length - self._next)
        records = [FakeRecord(0, self._next + n, topic=self._topic) for n in range(count)]
        self._next += count
        return {TopicPartition(self._topic, 0): records} if records else {}


def make(calls: Calls, *, concurrency: int, window_jobs: int, patience_seconds: float = 60) -> Dispatcher:
    held = limits(
        window_jobs=window_jobs,
        partition_span=1_000_000,
        patience_seconds=patience_seconds,
    )
    dispatcher = Dispatcher(calls, held, Slots(concurrency, WEIGHTS), lanes=LANES)
    dispatcher.attach(FakeConsumer())
    return dispatcher


async def shares(*, concurrency: int, window_jobs: int, ending_together: int) -> Counter[Priority]:
    """Of the calls that begin while every lane has more than can be done."""
    calls = Calls()
    dispatcher = make(calls, concurrency=concurrency, window_jobs=window_jobs)
    bringing = []
    for priority in reversed(PRIORITIES):  # the least urgent are there first, and have filled all
        bringing.append(asyncio.create_task(Backlog(dispatcher, priority).bring()))
        await settle()
    await calls.end(concurrency)
    calls.begun.clear()
    while len(calls.begun) < 1000:
        await calls.end(ending_together)
        await until(lambda: dispatcher.in_flight == window_jobs and calls.running == concurrency)
    for task in bringing:
        task.cancel()
    await dispatcher.finish(0)
    return Counter(calls.begun)


async def test_calls_begin_by_weight_whatever_filled_the_window() -> None:
    taken = await shares(concurrency=10, window_jobs=100, ending_together=1)
    assert abs(taken["high"] - 600) <= 30
    assert abs(taken["normal"] - 300) <= 30
    assert abs(taken["low"] - 100) <= 30


async def test_also_when_many_end_at_once() -> None:
    taken = await shares(concurrency=50, window_jobs=100, ending_together=50)
    assert abs(taken["high"] - 600) <= 60
    assert abs(taken["normal"] - 300) <= 60
    assert abs(taken["low"] - 100) <= 60


async def test_also_in_a_window_that_has_room_for_nothing_but_the_running() -> None:
    taken = await shares(concurrency=10, window_jobs=10, ending_together=1)
    assert abs(taken["high"] - 600) <= 30
    assert abs(taken["normal"] - 300) <= 30
    assert abs(taken["low"] - 100) <= 30


async def test_a_lane_alone_has_every_slot_and_the_whole_window() -> None:
    calls = Calls()
    dispatcher = make(calls, concurrency=10, window_jobs=20)
    bringing = asyncio.create_task(Backlog(dispatcher, "low").bring())
    await settle()
    assert (len(calls.begun), dispatcher.in_flight, dispatcher.waiting("low")) == (10, 20, 10)
    await calls.end(10)
    assert (len(calls.begun), dispatcher.in_flight) == (20, 20)
    bringing.cancel()
    await dispatcher.finish(0)


async def test_an_urgent_job_overtakes_all_that_wait_here() -> None:
    # Given a window that is full of the least urgent
    calls = Calls()
    dispatcher = make(calls, concurrency=5, window_jobs=50)
    low = asyncio.create_task(Backlog(dispatcher, "low").bring())
    await settle()
    # When an urgent one comes
    high = asyncio.create_task(Backlog(dispatcher, "high", 1).bring())
    await settle()
    # Then one other enters before it, and one begins
    for _ in range(3):
        await calls.end()
    assert "high" in calls.begun
    await high
    low.cancel()
    await dispatcher.finish(0)


async def test_every_lane_polls_in_time_though_nothing_ends() -> None:
    """Else its consumer is thrown out of its group."""
    calls = Calls()
    dispatcher = make(calls, concurrency=2, window_jobs=2, patience_seconds=0.01)
    lanes = {priority: Backlog(dispatcher, priority, 4) for priority in PRIORITIES}
    bringing = [asyncio.create_task(each.bring()) for each in lanes.values()]
    async with asyncio.timeout(5):
        await asyncio.gather(*bringing)
    assert dispatcher.in_flight == 12
    await dispatcher.finish(0)


async def test_a_lane_whose_partition_goes_while_it_waits_leaves_its_record_there() -> None:
    calls, consumer = Calls(), FakeConsumer()
    dispatcher = make(calls, concurrency=1, window_jobs=1)
    dispatcher.attach(consumer)
    await dispatcher.admit(FakeRecord(0, 1, topic=TOPICS["normal"]))
    await until(lambda: calls.begun == ["normal"])
    # Given two lanes that wait for room, one behind the other
    low = asyncio.create_task(dispatcher.admit(FakeRecord(0, 1, topic=TOPICS["low"])))
    high = asyncio.create_task(dispatcher.admit(FakeRecord(0, 1, topic=TOPICS["high"])))
    await settle()
    # When the second one's partition is revoked
    await dispatcher.revoke([TopicPartition(TOPICS["high"], 0)])
    await calls.end()
    await calls.end()
    await asyncio.gather(low, high)
    # Then only the other one ran, and only its offset is committed
    await dispatcher.commit()
    assert calls.begun == ["normal", "low"]
    assert consumer.committed == {TopicPartition(TOPICS[lane], 0): 2 for lane in ("normal", "low")}
    await dispatcher.finish(0)


async def test_who_leaves_keeps_no_lane_waiting() -> None:
    calls = Calls()
    dispatcher = make(calls, concurrency=1, window_jobs=1)
    bringing = [asyncio.create_task(Backlog(dispatcher, each, 10).bring()) for each in PRIORITIES]
    await until(lambda: len(calls.begun) == 1)
    await dispatcher.leave()
    async with asyncio.timeout(5):
        await asyncio.gather(*bringing)
    assert dispatcher.in_flight == 1
    await dispatcher.finish(0)


async def test_a_waiter_that_is_cut_off_takes_no_slot_along() -> None:
    slots = Slots(1, WEIGHTS)
    await slots.acquire("normal")
    given, waiting, last = (asyncio.create_task(slots.acquire("low")) for _ in range(3))
    await settle()
    # When one is cut off while it waits, and one just when it was given the slot
    waiting.cancel()
    slots.release()
    given.cancel()
    # Then the third has it
    async with asyncio.timeout(5):
        await last
    assert given.cancelled()


async def test_patience_ends_behind_a_lane_that_has_not_lost_its_own() -> None:
    gate = LaneGate(Window(1, 1_000_000), WEIGHTS, patience_seconds=0.01)
    # Given a lane that keeps its turn
    await gate.begin("low")
    # When another one has waited long enough, then it may bring one record, and no more
    async with asyncio.timeout(5):
        turn = await gate.begin("high")
    assert (turn.left, gate.room(turn)) == (1, 1)
    # And when it leaves, the first one still has its turn
    gate.end(turn)
    async with asyncio.timeout(5):
        again = await gate.begin("high")
    assert not again.is_ours
