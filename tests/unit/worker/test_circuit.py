"""A circuit opens for calls that fail for sure, lets a few try, and closes when these are answered."""

from hypothesis import given
from hypothesis import strategies as st

from tests.support.manual_clock import ManualClock
from worker.llm.circuit import Circuit, CircuitRules

RULES = CircuitRules(failures_in_a_row=5, open_seconds=10)
PROBES = 3


class Scene:
    """A circuit, its clock, and what it told."""

    def __init__(self, rules: CircuitRules = RULES) -> None:
        self.clock = ManualClock()
        self.told: list[bool] = []
        self.circuit = Circuit(rules, self.clock, lambda circuit: self.told.append(circuit.is_closed))

    def call(self, has_failed: bool | None) -> None:
        assert self.circuit.wait_seconds() == 0
        self.circuit.leave(self.circuit.enter(), has_failed)

    def calls(self, *failures: bool) -> None:
        for has_failed in failures:
            self.call(has_failed)

    def opened(self) -> "Scene":
        self.calls(*[True] * RULES.failures_in_a_row)
        assert self.circuit.wait_seconds() == RULES.open_seconds
        return self


def test_failures_in_a_row_open_it() -> None:
    scene = Scene()
    scene.calls(True, True, True, True, False, True, True, True, True)
    assert scene.circuit.is_closed
    scene.call(True)
    assert (scene.circuit.is_closed, scene.circuit.wait_seconds(), scene.told) == (False, 10, [False])


def test_half_of_the_last_calls_open_it_once_there_are_twenty() -> None:
    scene = Scene()
    scene.calls(*[False, True] * 9, False)
    assert scene.circuit.is_closed
    scene.call(True)
    assert not scene.circuit.is_closed


def test_only_the_last_hundred_calls_count() -> None:
    scene = Scene()
    scene.calls(*[False] * 1000, *[True, True, False] * 24, True)
    assert scene.circuit.is_closed  # 49 of the last 100, and never more than two in a row
    scene.call(True)
    assert not scene.circuit.is_closed


def test_fewer_than_half_leave_it_closed() -> None:
    scene = Scene()
    scene.calls(*[True, False, False] * 200)
    assert scene.circuit.is_closed


def test_failures_of_another_day_are_forgotten() -> None:
    scene = Scene()
    scene.calls(*[True] * 4)
    scene.clock.go_on(61)
    scene.calls(*[True] * 4)
    assert scene.circuit.is_closed


def test_what_tells_nothing_does_not_count() -> None:
    scene = Scene()
    scene.calls(*[True] * 4)
    scene.call(None)
    assert scene.circuit.is_closed
    scene.call(True)
    assert not scene.circuit.is_closed


def test_it_can_be_switched_off() -> None:
    scene = Scene(CircuitRules(failures_in_a_row=0, open_seconds=10))
    scene.calls(*[True] * 500)
    assert scene.circuit.is_closed


def test_a_few_calls_try_when_the_time_is_over_and_no_more() -> None:
    scene = Scene().opened()
    scene.clock.go_on(9.5)
    assert scene.circuit.wait_seconds() == 0.5
    scene.clock.go_on(0.5)
    for _ in range(PROBES):
        assert scene.circuit.wait_seconds() == 0
        scene.circuit.enter()
    assert scene.circuit.wait_seconds() > 0


def test_answers_to_all_of_them_close_it() -> None:
    scene = Scene().opened()
    scene.clock.go_on(10)
    scene.calls(*[False] * (PROBES - 1))
    assert not scene.circuit.is_closed
    scene.call(False)
    assert (scene.circuit.is_closed, scene.told) == (True, [False, True])


def test_one_failure_of_them_opens_it_again_for_as_long() -> None:
    scene = Scene().opened()
    scene.clock.go_on(10)
    scene.calls(False, False, True)
    assert scene.circuit.wait_seconds() == RULES.open_seconds
    assert scene.told == [False]  # it was not closed meanwhile


def test_a_try_that_was_cut_off_makes_room_for_another() -> None:
    scene = Scene().opened()
    scene.clock.go_on(10)
    for _ in range(20):
        scene.call(None)
    assert not scene.circuit.is_closed
    scene.calls(*[False] * PROBES)
    assert scene.circuit.is_closed


def test_calls_from_before_it_opened_say_nothing_of_now() -> None:
    scene = Scene()
    early = [scene.circuit.enter() for _ in range(20)]
    scene.opened()
    for generation in early[:10]:
        scene.circuit.leave(generation, False)
    assert scene.circuit.wait_seconds() == RULES.open_seconds
    scene.clock.go_on(10)
    scene.circuit.enter()
    for generation in early[10:]:
        scene.circuit.leave(generation, True)
    assert scene.circuit.wait_seconds() == 0  # two more may try


@given(
    st.lists(
        st.tuples(st.sampled_from(["enter", "leave"]), st.sampled_from([True, False, None]), st.floats(0, 12))
    )
)
def test_never_more_than_three_calls_go_out_before_it_closes(
    steps: list[tuple[str, bool | None, float]],
) -> None:
    scene = Scene().opened()
    under_way: list[int] = []
    for step, has_failed, seconds in steps:
        scene.clock.go_on(seconds)
        if step == "leave" and under_way:
            scene.circuit.leave(under_way.pop(0), has_failed)
        elif scene.circuit.wait_seconds() == 0:
            under_way.append(scene.circuit.enter())
        if scene.circuit.is_closed:
            return
        newest = [generation for generation in under_way if generation == max(under_way)]
        assert len(newest) <= PROBES
