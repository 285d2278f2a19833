"""Which calls speak against the provider, which against a model, and whom that holds up."""

import pytest
from aiohttp import ConnectionTimeoutError
from prometheus_client import REGISTRY

from shared.domain.errors import ErrorCode
from tests.support.jobs import make_job
from tests.support.manual_clock import ManualClock
from worker.llm.circuit import CircuitRules
from worker.llm.provider_circuits import ProviderCircuits
from worker.llm.provider_errors import provider_error
from worker.llm.transport_errors import transport_error
from worker.ports import CircuitOpen, LLMError, Rejected

JOB = make_job()
OTHER_MODEL = make_job(model="gpt-4o")
FAILURES = 4


def circuits(clock: ManualClock | None = None) -> ProviderCircuits:
    return ProviderCircuits(
        CircuitRules(FAILURES, open_seconds=10),
        is_for_stand_in=lambda job: job.api_key is not None,
        now=clock or ManualClock(),
    )


def answered(status: int, body: bytes = b"") -> LLMError:
    return provider_error(status, {}, body)


def no_connection() -> LLMError:
    return transport_error(ConnectionTimeoutError())


def fail(known: ProviderCircuits, fault: LLMError, times: int = FAILURES) -> None:
    for _ in range(times):
        known.enter(JOB).fail(fault)


def test_5xx_opens_the_circuit_of_the_model_alone() -> None:
    known = circuits()
    fail(known, answered(500))
    assert known.wait_seconds(JOB) == 10
    assert known.wait_seconds(OTHER_MODEL) == 0
    with pytest.raises(CircuitOpen) as refused:
        known.enter(JOB)
    assert (refused.value.attempts, refused.value.retry_after_seconds) == (0, 10)


def test_no_connection_opens_the_circuit_of_the_provider_and_no_model_has_to_find_out() -> None:
    known = circuits()
    fail(known, no_connection())
    assert known.wait_seconds(OTHER_MODEL) == known.wait_seconds(JOB) == 10


def test_a_server_that_stands_in_has_a_circuit_of_its_own() -> None:
    known = circuits()
    fail(known, no_connection())
    from_stand_in = make_job(openai_api_key="sk-anything")
    assert known.wait_seconds(from_stand_in) == 0
    assert known.wait_seconds(make_job(model="gpt-4o", openai_api_key="sk-x")) == 0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 422, 429])
def test_429_and_4xx_are_answers(status: int) -> None:
    known = circuits()
    fail(known, answered(status), times=200)
    assert known.are_closed


@pytest.mark.parametrize("status", [504, 524, 200])
def test_an_unknown_outcome_tells_nothing(status: int) -> None:
    known = circuits()
    fail(known, answered(500), times=FAILURES - 1)
    fail(known, answered(status), times=200)
    assert known.are_closed
    fail(known, answered(500), times=1)
    assert not known.are_closed


def test_a_call_that_could_not_be_made_tells_nothing() -> None:
    known = circuits()
    unasked = Rejected(ErrorCode.MISSING_API_KEY, "no key")
    unasked.attempts = 0
    fail(known, answered(500), times=FAILURES - 1)
    fail(known, unasked)
    fail(known, answered(500), times=1)
    assert not known.are_closed


def test_an_answer_of_5xx_is_still_one_of_the_provider() -> None:
    known = circuits()
    fail(known, no_connection(), times=FAILURES - 1)
    known.enter(OTHER_MODEL).fail(answered(500))
    fail(known, no_connection(), times=FAILURES - 1)
    assert known.are_closed


def test_it_is_seen_from_outside_while_it_lasts() -> None:
    clock = ManualClock()
    known = circuits(clock)
    opened = _series("llm_breaker_opens_total")
    fail(known, answered(503))
    assert (_series("llm_breaker_open"), _series("llm_breaker_opens_total") - opened) == (1, 1)
    clock.go_on(10)
    for _ in range(3):
        known.enter(JOB).succeed()
    assert (_series("llm_breaker_open"), known.are_closed) == (0, True)


def _series(name: str) -> float:
    return REGISTRY.get_sample_value(name, {"circuit": JOB.model}) or 0.0
