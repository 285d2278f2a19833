"""Other models are asked when the one that was asked for is away, and never in place of a refusal."""

from collections import defaultdict
from dataclasses import replace

import pytest

from shared.domain.errors import ErrorCode
from shared.domain.events import ProviderCalled
from shared.domain.job import Job
from tests.support.jobs import RecordingSink, make_job
from tests.support.llm_faults import away, silence
from worker.llm.fallback_client import FallbackClient
from worker.llm.observed_client import ObservedClient
from worker.llm.retrying_client import RetryingClient
from worker.ports import (
    CallHistory,
    CircuitOpen,
    Completion,
    LLMError,
    ModelUnavailable,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Tell,
    Unavailable,
)
from worker.slots import Slots

ASKED, FIRST, SECOND = "gpt-4o", "gpt-4o-mini", "gpt-3.5-turbo"


def unknown_model() -> LLMError:
    return ModelUnavailable(ErrorCode.UPSTREAM_REJECTED, "no such model")


def shut() -> LLMError:
    return CircuitOpen("nothing was asked", 0.001)


def refusal() -> LLMError:
    return Rejected(ErrorCode.CONTENT_POLICY, "no")


class Models:
    """Each fails as it is told, for ever, and otherwise answers."""

    def __init__(self, **faults: object) -> None:
        self.faults = faults
        self.is_shut_for_all = False
        self.asked: list[str] = []
        self.attempts: list[int] = []
        self.looks = defaultdict[str, int](int)

    async def complete(self, job: Job, attempt: int, tell: Tell | None = None) -> Completion:
        self.looks[job.model] += 1
        make = self.faults.get(_name(job.model))
        fault = make() if callable(make) else None
        if fault is None or fault.attempts:
            self.asked.append(job.model)
            self.attempts.append(attempt)
        if fault is not None:
            raise fault
        return Completion(
            model=job.model,
            message={"role": "assistant", "content": "x"},
            finish_reason="stop",
            confidence=None,
            usage=None,
            latency_ms=1.0,
        )

    def circuit_seconds(self, job: Job) -> float:
        is_shut = self.is_shut_for_all or self.faults.get(_name(job.model)) is shut
        return 0.001 if is_shut else 0.0


def _name(model: str) -> str:
    return {ASKED: "asked", FIRST: "first", SECOND: "second"}[model]


def client(
    models: Models, fallbacks: tuple[str, ...] = (FIRST, SECOND), sink: RecordingSink | None = None
) -> FallbackClient:
    retrying = RetryingClient(
        ObservedClient(models, sink or RecordingSink()),
        Slots(1),
        max_attempts=2,
        backoff_seconds=0.001,
        max_backoff_seconds=0.001,
        circuit_seconds=models.circuit_seconds,
    )
    return FallbackClient(retrying, fallbacks)


async def complete(models: Models, job: Job | None = None, sink: RecordingSink | None = None) -> Completion:
    return await client(models, sink=sink).complete(job or make_job(model=ASKED), CallHistory(1))


async def test_a_model_that_answers_is_the_only_one_that_is_asked() -> None:
    models = Models()
    completion = await complete(models)
    assert (completion.model, completion.is_fallback, models.asked) == (ASKED, False, [ASKED])


@pytest.mark.parametrize(("fault", "calls"), [(away, 2), (unknown_model, 1), (shut, 0), (silence, 2)])
async def test_the_next_one_is_asked_where_one_is_away(fault: object, calls: int) -> None:
    models = Models(asked=fault)
    completion = await complete(models)
    assert models.asked == [ASKED] * calls + [FIRST]
    assert (completion.model, completion.is_fallback) == (FIRST, True)
    assert completion.attempts == calls + 1
    assert models.attempts == list(range(1, calls + 2))
    assert completion.possible_duplicate_charge == (fault is silence)


async def test_they_are_asked_in_turn_and_the_one_that_was_asked_for_is_not_asked_again() -> None:
    models = Models(asked=away, first=unknown_model)
    completion = await client(models, (FIRST, ASKED, SECOND)).complete(make_job(model=ASKED), CallHistory(1))
    assert (completion.model, models.asked) == (SECOND, [ASKED, ASKED, FIRST, SECOND])


@pytest.mark.parametrize("fault", [refusal, lambda: RateLimited("slow down")], ids=["refused", "429"])
async def test_a_refusal_is_nobody_elses_to_answer(fault: object) -> None:
    models = Models(asked=fault)
    with pytest.raises((Rejected, RateLimited)):
        await complete(models)
    assert set(models.asked) == {ASKED}


async def test_an_unknown_outcome_is_not_called_again_where_the_job_says_fail() -> None:
    models = Models(asked=silence)
    with pytest.raises(OutcomeUnknown):
        await complete(models, make_job(model=ASKED, on_unknown="fail"))
    assert models.asked == [ASKED]


async def test_nor_is_that_of_a_fallback() -> None:
    models = Models(asked=away, first=silence)
    with pytest.raises(OutcomeUnknown) as unknown:
        await complete(models, make_job(model=ASKED, on_unknown="fail"))
    assert (models.asked, unknown.value.attempts) == ([ASKED, ASKED, FIRST], 3)


@pytest.mark.parametrize("fault", [refusal, away, unknown_model])
async def test_where_no_other_one_answers_the_failure_is_that_of_the_model_that_was_asked_for(
    fault: object,
) -> None:
    models = Models(asked=away, first=fault, second=away)
    with pytest.raises(Unavailable) as caught:
        await complete(models)
    assert caught.value.attempts == len(models.asked)


async def test_a_refusal_by_a_fallback_ends_the_round() -> None:
    models = Models(asked=away, first=refusal)
    with pytest.raises(Unavailable):
        await complete(models)
    assert models.asked == [ASKED, ASKED, FIRST]


async def test_every_call_is_told_with_the_model_that_was_asked_for() -> None:
    sink = RecordingSink()
    await complete(Models(asked=away, first=unknown_model), sink=sink)
    told = [(event.model, event.fallback_for, event.outcome) for event in sink.of(ProviderCalled)]
    assert told == [
        (ASKED, None, "UPSTREAM_UNAVAILABLE"),
        (ASKED, None, "UPSTREAM_UNAVAILABLE"),
        (FIRST, ASKED, "UPSTREAM_REJECTED"),
        (SECOND, ASKED, "succeeded"),
    ]


async def test_no_model_is_waited_for_while_another_can_be_asked() -> None:
    models = Models(asked=shut, first=shut)
    completion = await complete(models)
    assert (completion.model, dict(models.looks)) == (SECOND, {ASKED: 1, FIRST: 1, SECOND: 1})


async def test_where_nobody_can_be_asked_the_job_waits_for_its_own_model() -> None:
    models = Models(asked=shut, first=shut, second=shut)

    def back() -> LLMError | None:
        return None if models.looks[ASKED] > 4 else shut()

    models.faults["asked"] = back
    models.is_shut_for_all = True
    completion = await complete(models)
    assert (completion.model, completion.is_fallback, models.asked) == (ASKED, False, [ASKED])


async def test_a_caller_who_waits_is_told_so_at_once() -> None:
    models = Models(asked=shut, first=shut, second=shut)
    with pytest.raises(CircuitOpen) as told:
        await complete(models, replace(make_job(model=ASKED), wait_seconds=60))
    assert (told.value.attempts, models.asked) == (0, [])


async def test_the_job_keeps_its_fingerprint() -> None:
    """It is whose answer is shared and stored; the model is what it named."""
    seen: list[str] = []

    class Noting(Models):
        async def complete(self, job: Job, attempt: int, tell: Tell | None = None) -> Completion:
            seen.append(job.fingerprint)
            return await super().complete(job, attempt, tell)

    job = make_job(model=ASKED)
    await complete(Noting(asked=unknown_model), job)
    assert seen == [job.fingerprint] * 2
