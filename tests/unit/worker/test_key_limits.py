"""What a key is good for is halved by a 429, soon comes back, grows by one a round; other keys go on."""

import asyncio
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from tests.support.jobs import make_job
from tests.support.manual_clock import ManualClock
from worker.llm.key_limits import KeyLimits
from worker.llm.key_use import KeyUse
from worker.ports import RateLimited

MOST = 100
PAUSE_SECONDS = 0.5


class Scene:
    """One key, and the calls that are under way with it."""

    def __init__(self, most: int = MOST, least: int = 1) -> None:
        self.clock = ManualClock()
        self.use = KeyUse(most, PAUSE_SECONDS, self.clock, least=least)
        self.calls: list[int] = []

    def begin(self, calls: int) -> int:
        """How many could."""
        begun = 0
        while begun < calls and self.use.take():
            self.calls.append(self.use.decreases)
            begun += 1
        return begun

    def limited(self, calls: int = 1, retry_after_seconds: float | None = None) -> None:
        for _ in range(calls):
            self.use.fail(self.calls.pop(0), RateLimited("429", retry_after_seconds=retry_after_seconds))

    def answered(self, calls: int = 1) -> None:
        for _ in range(calls):
            self.use.succeed(self.calls.pop(0))

    def rest(self) -> None:
        self.clock.go_on(PAUSE_SECONDS)


def test_there_is_no_limit_before_the_first_429() -> None:
    scene = Scene()
    assert (scene.begin(500), scene.use.limit, scene.use.hold_seconds()) == (500, None, 0)


def test_a_429_halves_what_was_under_way() -> None:
    scene = Scene()
    scene.begin(40)
    scene.limited()
    assert scene.use.limit == 20


def test_all_429_of_calls_that_were_under_way_together_halve_it_once() -> None:
    scene = Scene()
    scene.begin(40)
    scene.limited(40)
    assert scene.use.limit == 20
    scene.rest()
    assert scene.begin(40) == 20
    scene.limited(20)
    assert scene.use.limit == 10


def test_one_call_is_always_possible() -> None:
    scene = Scene()
    for _ in range(9):
        scene.begin(1)
        scene.limited()
        scene.rest()
    assert (scene.use.limit, scene.begin(5)) == (1, 1)


def test_an_operator_may_leave_a_key_more() -> None:
    scene = Scene(least=8)
    for _ in range(9):
        scene.begin(10)
        scene.limited(len(scene.calls))
        scene.rest()
    assert (scene.use.limit, scene.begin(50)) == (8, 8)


def test_a_key_that_keeps_all_is_never_limited() -> None:
    scene = Scene(least=MOST)
    scene.begin(40)
    scene.limited(40)
    assert (scene.use.limit, scene.begin(50)) == (None, 50)


def test_a_round_of_answers_is_worth_one_more() -> None:
    scene = Scene()
    scene.begin(8)
    scene.limited(8)
    scene.rest()
    for expected in (5, 6, 7):
        scene.answered(scene.begin(99))
        assert scene.use.limit == expected


def test_after_a_time_without_any_answer_the_way_back_is_short() -> None:
    scene = Scene()
    for _ in range(7):
        scene.limited(scene.begin(64))
        scene.rest()
    assert scene.use.limit == 1
    for expected in (2, 4, 8, 16, 32, 33):
        scene.answered(scene.begin(99))
        assert scene.use.limit == expected


def test_it_is_as_short_as_the_last_answers_say() -> None:
    scene = Scene()
    scene.limited(scene.begin(64))
    scene.rest()
    # Answered were 16 at once, and 32 were not.
    scene.begin(32)
    scene.answered(16)
    scene.limited(16)
    scene.rest()
    scene.limited(scene.begin(99))
    assert scene.use.limit == 4
    scene.rest()
    for expected in (8, 9):
        scene.answered(scene.begin(99))
        assert scene.use.limit == expected


def test_answers_to_calls_from_before_the_429_prove_nothing() -> None:
    scene = Scene()
    scene.begin(40)
    scene.limited()
    scene.answered(39)
    assert scene.use.limit == 20
    scene.rest()
    scene.limited(scene.begin(99))
    assert scene.use.limit == 10
    scene.rest()
    scene.answered(scene.begin(99))
    assert scene.use.limit == 20


def test_answers_to_a_key_that_is_hardly_used_prove_nothing() -> None:
    scene = Scene()
    scene.begin(40)
    scene.limited(40)
    scene.rest()
    for _ in range(500):
        scene.answered(scene.begin(1))
    assert scene.use.limit == 20


def test_the_limit_is_lifted_where_it_would_be_the_workers() -> None:
    scene = Scene(most=6)
    scene.begin(8)
    scene.limited(8)
    scene.rest()
    for _ in range(2):
        scene.answered(scene.begin(99))
    assert (scene.use.limit, scene.begin(50)) == (None, 50)


def test_the_key_is_left_alone_until_retry_after() -> None:
    scene = Scene()
    scene.begin(10)
    scene.limited(retry_after_seconds=7)
    scene.clock.go_on(6)
    assert (scene.begin(1), scene.use.hold_seconds() >= 1) == (0, True)
    scene.clock.go_on(1)
    scene.answered(9)
    assert scene.begin(1) == 1


def test_a_very_long_retry_after_is_tried_before_it_ends() -> None:
    scene = Scene()
    scene.begin(2)
    scene.limited(2, retry_after_seconds=86_400)
    scene.clock.go_on(60)
    assert scene.begin(1) == 1


async def test_who_waits_is_let_in_in_the_order_of_asking() -> None:
    scene, order = Scene(), list[int]()
    scene.begin(4)
    scene.limited()
    scene.rest()

    async def call(number: int) -> None:
        assert not scene.use.take()
        await scene.use.wait_for_place()
        order.append(number)

    waiting = [asyncio.ensure_future(call(number)) for number in range(3)]
    await asyncio.sleep(0)
    for _ in range(3):
        scene.use.give_back()
    await asyncio.gather(*waiting[:2])
    assert (order, scene.use.in_flight, waiting[2].done()) == ([0, 1], 2, False)
    scene.use.succeed(scene.use.decreases)
    await waiting[2]


async def test_who_waits_when_a_pause_begins_is_told_when_to_come_again() -> None:
    scene = Scene()
    scene.begin(2)
    scene.limited()
    scene.rest()
    waiting = asyncio.ensure_future(scene.use.wait_for_place())
    await asyncio.sleep(0)
    scene.limited(retry_after_seconds=9)
    with pytest.raises(RateLimited) as told:
        await waiting
    assert (told.value.attempts, told.value.retry_after_seconds) == (0, 9)
    with pytest.raises(RateLimited):
        await scene.use.wait_for_place()
    assert scene.use.is_idle


@pytest.mark.parametrize("is_given_a_place", [True, False])
async def test_who_leaves_while_waiting_takes_no_place_along(is_given_a_place: bool) -> None:
    scene = Scene()
    scene.begin(2)
    scene.limited()
    scene.rest()
    leaving, staying = (asyncio.ensure_future(scene.use.wait_for_place()) for _ in range(2))
    await asyncio.sleep(0)
    if is_given_a_place:
        scene.answered()
    leaving.cancel()
    await asyncio.wait([leaving])
    if not is_given_a_place:
        scene.answered()
    await staying
    assert scene.use.in_flight == 1


@given(st.lists(st.tuples(st.sampled_from(["begin", "answer", "limit", "cut", "rest"]), st.integers(1, 30))))
def test_calls_under_way_are_counted_and_bounded_whatever_comes(steps: Iterable[tuple[str, int]]) -> None:
    scene = Scene(most=20)
    for step, number in steps:
        was_limited_to = scene.use.limit
        if step == "begin":
            before = scene.use.in_flight
            begun = scene.begin(number)
            assert was_limited_to is None or begun <= max(0, was_limited_to - before)
        elif step == "rest":
            scene.rest()
        for _ in range(min(number, len(scene.calls))):
            if step == "answer":
                scene.answered()
            elif step == "limit":
                scene.limited()
            elif step == "cut":
                scene.calls.pop(0)
                scene.use.give_back()
        assert scene.use.in_flight == len(scene.calls)
        assert scene.use.limit is None or scene.use.limit >= 1


# --- of all keys ---


def limits(own: str = "sk-own") -> KeyLimits:
    return KeyLimits(SecretStr(own), most=MOST, least=1, pause_seconds=PAUSE_SECONDS, now=ManualClock())


def test_a_job_without_a_key_uses_the_services_own() -> None:
    keys = limits()
    assert keys.use_of(make_job()) is keys.use_of(make_job(openai_api_key="sk-own"))


def test_one_key_is_not_held_up_by_another() -> None:
    keys, anna, bert = limits(), make_job(openai_api_key="sk-anna"), make_job(openai_api_key="sk-bert")
    use = keys.use_of(anna)
    assert use.take()
    use.fail(use.decreases, RateLimited("429"))
    assert keys.hold_seconds(make_job(openai_api_key="sk-anna")) > 0
    assert keys.hold_seconds(bert) == 0
    assert keys.use_of(bert).take()
    assert keys.limits == [1]


def test_what_is_remembered_of_keys_is_bounded_and_no_key_is_in_it() -> None:
    keys, busy = limits(), make_job(openai_api_key="sk-busy")
    assert keys.use_of(busy).take()
    for number in range(5000):
        use = keys.use_of(make_job(openai_api_key=f"sk-{number:04}"))
        if number % 2:
            use.take()
            use.fail(use.decreases, RateLimited("429"))
    assert len(keys) <= 1001
    assert keys.use_of(busy).in_flight == 1
    assert keys.hold_seconds(make_job(openai_api_key="sk-4999")) > 0
    assert all(isinstance(name, int) for name in keys._uses)
