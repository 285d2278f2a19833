"""Three lanes, and more in them than can be done: whose the calls are, and who waits how long."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from uuid import uuid4

import orjson
from aiokafka import AIOKafkaProducer

from shared.domain.priority import DEFAULT_WEIGHTS, PRIORITIES, Priority, Weights, lanes_of, parse_weights
from tests.bench.throughput import percentile
from tests.support.provider_ledger import Call
from tests.support.provider_process import ScriptedProvider

Say = Callable[[str], None]

WORKERS, SLOTS, CALL_SECONDS = 2, 10, 0.2
POSSIBLE_PER_SECOND = WORKERS * SLOTS / CALL_SECONDS
_WARM_UP_SECONDS = 3
_TICKS_PER_SECOND = 20


@dataclass(frozen=True)
class Offer:
    """What direct producers write, a second and lane, whatever becomes of it."""

    name: str
    per_second: Mapping[Priority, int]
    seconds: float


OFFERS = (
    Offer("all flooded", {"high": 80, "normal": 80, "low": 80}, 20),
    Offer("a few urgent in a flood", {"high": 10, "normal": 80, "low": 80}, 20),
    Offer("low alone", {"high": 0, "normal": 0, "low": 140}, 15),
)
SHORT_OFFERS = (Offer("all flooded", {"high": 80, "normal": 80, "low": 80}, 8),)


@dataclass(frozen=True)
class Lane:
    """What became of one lane, after the first seconds."""

    priority: Priority
    offered_per_second: int
    calls_per_second: float
    share: float
    """Of all calls that began."""
    wanted_share: float
    """By weight, at this number of calls a second."""
    longest_pause_seconds: float
    """Without a call of this lane."""
    delay_ms_p50: float
    """From when a job was produced to its call."""
    delay_ms_p99: float
    calls_by_second: Sequence[int]
    """Since the beginning, and in sum."""


@dataclass(frozen=True)
class LaneRun:
    """What became of an offer."""

    name: str
    weights: str
    lanes: Sequence[Lane]
    failed: int
    """Calls that were not answered while the load lasted, beside those that ran at its end."""
    wrong: int
    """Calls that were made more than once."""
    first_problem: str

    def __str__(self) -> str:
        told = ", ".join(f"{lane.priority} {lane.share:.0%}" for lane in self.lanes)
        return f"{self.name}: {told} of {sum(lane.calls_per_second for lane in self.lanes):.0f}/s"


def wanted_shares(offer: Offer, weights: Weights, calls_per_second: float) -> dict[Priority, float]:
    """By weight; what a lane leaves over is the others', by weight again."""
    left, open_lanes = calls_per_second, set(PRIORITIES)
    given: dict[Priority, float] = {}
    while open_lanes:
        unit = left / sum(weights[lane] for lane in open_lanes)
        modest = {lane for lane in open_lanes if offer.per_second[lane] <= unit * weights[lane]}
        for lane in modest or open_lanes:
            given[lane] = min(offer.per_second[lane], unit * weights[lane])
        left -= sum(given[lane] for lane in modest)
        open_lanes = open_lanes - modest if modest else set()
    total = sum(given.values()) or 1
    return {lane: each / total for lane, each in given.items()}


async def measure_lanes(
    bootstrap_servers: str, topic: str, provider: ScriptedProvider, offer: Offer, say: Say
) -> LaneRun:
    provider.clear()
    provider.script(latency_ms=CALL_SECONDS * 1000)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks=1, linger_ms=5)
    async with producer:
        began_at = time.time()
        produced_at = await _offer(producer, topic, offer)
    ended_at = time.time()
    calls = [call for call in provider.ledger() if call.arrived_at < ended_at]
    run = _summary(offer, calls, produced_at, began_at, ended_at)
    say(f"{run}")
    return run


async def _offer(producer: AIOKafkaProducer, topic: str, offer: Offer) -> dict[str, float]:
    """When each prompt was produced; by the clock, a few at a time."""
    loop, topics = asyncio.get_running_loop(), lanes_of(topic)
    began_at, produced_at = loop.time(), {}
    for tick in range(round(offer.seconds * _TICKS_PER_SECOND)):
        await asyncio.sleep(began_at + tick / _TICKS_PER_SECOND - loop.time())
        for priority, rate in offer.per_second.items():
            due = rate * (tick + 1) // _TICKS_PER_SECOND - rate * tick // _TICKS_PER_SECOND
            for _ in range(due):
                request_id = str(uuid4())
                prompt = f"{priority} {request_id}"
                value = orjson.dumps({"request_id": request_id, "user_prompt": prompt})
                produced_at[prompt] = time.time()
                await producer.send(topics[priority], value, key=request_id.encode())
    return produced_at


def _summary(
    offer: Offer, calls: list[Call], produced_at: dict[str, float], began_at: float, ended_at: float
) -> LaneRun:
    by_lane: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        by_lane[call.message.split(" ", 1)[0]].append(call)
    steady = sum(call.arrived_at >= began_at + _WARM_UP_SECONDS for call in calls)
    unanswered = [
        call for call in calls if call.status != 200 and call.arrived_at < ended_at - 5 * CALL_SECONDS
    ]
    repeated = len(calls) - len({call.message for call in calls})
    per_second = steady / (ended_at - began_at - _WARM_UP_SECONDS)
    wanted = wanted_shares(offer, parse_weights(DEFAULT_WEIGHTS), per_second)
    return LaneRun(
        offer.name,
        DEFAULT_WEIGHTS,
        [
            _lane(
                priority, offer, by_lane[priority], produced_at, began_at, ended_at, steady, wanted[priority]
            )
            for priority in PRIORITIES
        ],
        failed=len(unanswered) + (not steady),
        wrong=repeated,
        first_problem=f"{len(unanswered)} calls unanswered, {repeated} repeated",
    )


def _lane(
    priority: Priority,
    offer: Offer,
    calls: list[Call],
    produced_at: dict[str, float],
    began_at: float,
    ended_at: float,
    steady_calls: int,
    wanted_share: float,
) -> Lane:
    from_at = began_at + _WARM_UP_SECONDS
    steady = [call for call in calls if call.arrived_at >= from_at]
    delays_ms = [(call.arrived_at - produced_at[call.message]) * 1000 for call in steady]
    instants = [from_at, *(call.arrived_at for call in steady), ended_at]
    seconds = range(round(offer.seconds) + 1)
    return Lane(
        priority=priority,
        offered_per_second=offer.per_second[priority],
        calls_per_second=len(steady) / (ended_at - from_at),
        share=len(steady) / max(1, steady_calls),
        wanted_share=wanted_share,
        longest_pause_seconds=max(after - before for before, after in pairwise(instants)),
        delay_ms_p50=percentile(delays_ms, 50),
        delay_ms_p99=percentile(delays_ms, 99),
        calls_by_second=[sum(call.arrived_at < began_at + second for call in calls) for second in seconds],
    )
