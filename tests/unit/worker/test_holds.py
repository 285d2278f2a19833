"""A job that could not be called now does not begin; one whose caller waits, or whose time is over, does."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from shared.domain.job import Job
from tests.support.jobs import make_job
from tests.support.manual_clock import ManualClock
from worker.llm.circuit import CircuitRules
from worker.llm.holds import Holds
from worker.llm.key_limits import KeyLimits
from worker.llm.provider_circuits import ProviderCircuits
from worker.llm.provider_errors import provider_error
from worker.ports import RateLimited

LONGEST_SECONDS = 5


class Scene:
    def __init__(self, *fallback_models: str, open_seconds: float = 3) -> None:
        self.clock = ManualClock()
        self.circuits = ProviderCircuits(CircuitRules(2, open_seconds), now=self.clock)
        self.keys = KeyLimits(SecretStr("sk-own"), most=100, least=1, pause_seconds=0.5, now=self.clock)
        self.holds = Holds(self.circuits, self.keys, fallback_models)

    def break_model(self, model: str = "gpt-4o-mini") -> None:
        for _ in range(2):
            self.circuits.enter(make_job(model=model)).fail(provider_error(500, {}, b""))

    def limit_key(self, job: Job, retry_after_seconds: float) -> None:
        use = self.keys.use_of(job)
        assert use.take()
        use.fail(use.decreases, RateLimited("429", retry_after_seconds=retry_after_seconds))


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_usually_nobody_is_held(scene: Scene) -> None:
    assert scene.holds.seconds(make_job()) == 0


def test_while_the_circuit_is_open_a_job_that_nobody_waits_for_does_not_begin(scene: Scene) -> None:
    scene.break_model()
    assert 3 <= scene.holds.seconds(make_job()) <= 4
    assert scene.holds.seconds(make_job(model="gpt-4o")) == 0
    scene.clock.go_on(3)
    assert scene.holds.seconds(make_job()) == 0


def test_a_caller_who_waits_is_to_be_told(scene: Scene) -> None:
    scene.break_model()
    job = make_job()
    assert scene.holds.seconds(replace(job, wait_seconds=60)) == 0
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    assert scene.holds.seconds(replace(job, wait_seconds=60, created_at=an_hour_ago)) > 0


def test_a_job_is_not_held_while_another_model_can_be_asked() -> None:
    scene = Scene("gpt-4o")
    scene.break_model()
    assert scene.holds.seconds(make_job()) == 0
    scene.break_model("gpt-4o")
    assert scene.holds.seconds(make_job()) > 0


def test_nobody_is_held_long_without_a_look() -> None:
    scene = Scene(open_seconds=3600)
    scene.break_model()
    assert scene.holds.seconds(make_job()) == LONGEST_SECONDS


def test_nor_beyond_its_deadline(scene: Scene) -> None:
    scene.break_model()
    assert 0 < scene.holds.seconds(make_job(deadline_in=timedelta(seconds=1))) <= 1
    assert scene.holds.seconds(make_job(deadline_in=timedelta(seconds=-1))) == 0


def test_a_key_that_is_to_be_left_alone_holds_its_own_jobs_also_those_that_are_waited_for(
    scene: Scene,
) -> None:
    job = replace(make_job(openai_api_key="sk-anna"), wait_seconds=60)
    scene.limit_key(job, retry_after_seconds=2)
    assert 2 <= scene.holds.seconds(job) <= 3
    assert scene.holds.seconds(make_job()) == 0
    scene.clock.go_on(2)
    assert scene.holds.seconds(job) == 0


def test_a_key_without_a_free_place_holds_its_jobs(scene: Scene) -> None:
    scene.limit_key(make_job(), retry_after_seconds=0)
    assert scene.keys.use_of(make_job()).take()
    assert 0 < scene.holds.seconds(make_job()) <= 1
