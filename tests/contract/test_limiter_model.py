"""Any sequence of steps leaves a limiter where a naive count of the whole history leaves us."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.job import JobId
from shared.domain.limits import DAY_SECONDS, Demand, Limits, Spent
from tests.conftest import missing
from tests.contract.limiters import Limiters, memory_limiters, redis_limiters
from tests.support.availability import Unavailable
from tests.support.redis_servers import find_redis, find_valkey
from tests.support.running import RunningServers

HOLD_SECONDS = 5000.0
"""Far from any sum of the pauses below, so that a slow machine decides nothing."""
LIMITS = Limits(requests_per_minute=3, tokens_per_minute=100, jobs_in_flight=2, dollars_per_day=100 / 1e9)

names = st.sampled_from("abcde")
amounts = st.integers(0, 60)
maybe = st.none() | amounts
steps = st.lists(
    st.one_of(
        st.tuples(st.just("take"), names, amounts, amounts),
        st.tuples(st.just("settle"), names, maybe, maybe),
        st.tuples(st.just("give back"), names),
        st.tuples(st.just("pass"), st.sampled_from([20, 61, 6000])),
    ),
    max_size=14,
)


@dataclass
class Request:
    """One admission."""

    name: str
    came_at: float
    tokens: int
    dollars: int
    is_held: bool = True


@dataclass
class Model:
    """Everything that ever happened, counted anew at each question."""

    now: float = 0.0
    history: list[Request] = field(default_factory=list)
    spent: int = 0

    def held(self) -> list[Request]:
        return [one for one in self.history if one.is_held and self.now < one.came_at + HOLD_SECONDS]

    def in_minute(self) -> list[Request]:
        return [one for one in self.history if self.now < one.came_at + 60]

    def used(self) -> tuple[int, int, int, int]:
        reserved = sum(one.dollars for one in self.held())
        tokens = sum(one.tokens for one in self.in_minute())
        return len(self.in_minute()), tokens, len(self.held()), self.spent + reserved

    def take(self, name: str, tokens: int, dollars: int) -> bool:
        if any(one.name == name for one in self.held()):
            return True
        requests, used_tokens, in_flight, used_dollars = self.used()
        has_room = (
            requests < 3 and in_flight < 2 and used_tokens + tokens <= 100 and used_dollars + dollars <= 100
        )
        if has_room:
            self.history.append(Request(name, self.now, tokens, dollars))
        return has_room

    def settle(self, name: str, tokens: int | None, dollars: int | None) -> None:
        for one in [one for one in self.held() if one.name == name]:
            one.is_held = False
            if tokens is not None and one in self.in_minute():
                one.tokens = tokens
            self.spent += one.dollars if dollars is None else dollars

    def give_back(self, name: str) -> None:
        gone = [one for one in self.held() if one.name == name]
        self.history = [one for one in self.history if one not in gone]


@pytest.mark.parametrize("kind", ["memory", "redis", "valkey"])
def test_every_sequence_is_counted_as_the_whole_history_would_be(kind: str, servers: RunningServers) -> None:
    opened = _opener(kind, servers)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(steps)
    def check(sequence: list[tuple[object, ...]]) -> None:
        asyncio.run(_compare(opened, sequence))

    check()


def _opener(kind: str, servers: RunningServers) -> Callable[[], AbstractAsyncContextManager[Limiters]]:
    if kind == "memory":
        return memory_limiters
    try:
        url = servers.get(find_redis if kind == "redis" else find_valkey).url
    except Unavailable as reason:
        missing(str(reason))
    return lambda: redis_limiters(url, processes=1)


async def _compare(
    opened: Callable[[], AbstractAsyncContextManager[Limiters]], sequence: list[tuple[object, ...]]
) -> None:
    model, owner = Model(), f"owner-{uuid4()}"
    async with opened() as limiters:
        # No day may end between two steps: too near midnight nothing costs anything.
        lasts = 60 + sum(int(str(step[1])) for step in sequence if step[0] == "pass")
        is_late = limiters.seconds() % DAY_SECONDS + lasts > DAY_SECONDS
        for step in sequence:
            await _step(limiters, model, owner, step, costs=0 if is_late else 1)


async def _step(
    limiters: Limiters, model: Model, owner: str, step: tuple[object, ...], *, costs: int
) -> None:
    match step:
        case ("take", str(name), int(tokens), int(dollars)):
            ends = datetime.fromtimestamp(limiters.seconds() + HOLD_SECONDS, UTC)
            demand = Demand(tokens, dollars * costs)
            is_admitted, now = await limiters.one.take(JobId(owner, name), LIMITS, demand, ends)
            assert is_admitted == model.take(name, tokens, dollars * costs)
            assert (now.requests, now.tokens, now.in_flight, now.nano_dollars) == model.used()
        case ("settle", str(name), tokens, dollars):
            told = dollars * costs if isinstance(dollars, int) else None
            spent_tokens = tokens if isinstance(tokens, int) else None
            await limiters.one.settle(JobId(owner, name), Spent(spent_tokens, told))
            model.settle(name, spent_tokens, told)
        case ("give back", str(name)):
            await limiters.one.give_back(JobId(owner, name))
            model.give_back(name)
        case ("pass", int(seconds)):
            await limiters.pass_seconds(seconds, owner)
            model.now += seconds
