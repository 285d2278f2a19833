"""One retry layer, bounded by attempts and by the job's deadline."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from shared.domain.errors import ErrorCode
from shared.domain.events import ProviderCalled
from shared.domain.job import Job
from tests.support.jobs import RecordingSink, make_job
from worker.llm.observed_client import ObservedClient
from worker.llm.retrying_client import RetryingClient
from worker.ports import (
    CallHistory,
    Completion,
    LLMError,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Tell,
    Unavailable,
)


@dataclass
class ScriptedLLM:
    """Raises the given faults in turn, then answers."""

    faults: list[LLMError]
    attempts: list[int] = field(default_factory=list)
    hangs_after: int | None = None
    hanging: asyncio.Event = field(default_factory=asyncio.Event)

    async def complete(self, job: Job, attempt: int, tell: Tell | None = None) -> Completion:
        self.attempts.append(attempt)
        if self.hangs_after is not None and len(self.attempts) > self.hangs_after:
            self.hanging.set()
            await asyncio.Event().wait()
        if self.faults:
            raise self.faults.pop(0)
        return Completion(
            model=job.model,
            message={"role": "assistant", "content": "x"},
            finish_reason="stop",
            confidence=None,
            usage=None,
            latency_ms=1.0,
        )


def retrying(llm: ScriptedLLM, *, backoff_seconds: float = 0.001, max_attempts: int = 4) -> RetryingClient:
    return RetryingClient(
        llm, max_attempts=max_attempts, backoff_seconds=backoff_seconds, max_backoff_seconds=backoff_seconds
    )


def away() -> LLMError:
    return Unavailable(ErrorCode.UPSTREAM_UNAVAILABLE, "away")


def silence() -> LLMError:
    return OutcomeUnknown(ErrorCode.UPSTREAM_TIMEOUT, "silence")


def refusal() -> LLMError:
    return Rejected(ErrorCode.UPSTREAM_REJECTED, "no")


async def test_what_may_pass_is_tried_again_and_counted() -> None:
    llm = ScriptedLLM([away(), RateLimited("slow down")])
    completion = await retrying(llm).complete(make_job(), CallHistory(1))
    assert (completion.attempts, completion.rate_limited) == (3, True)
    assert not completion.possible_duplicate_charge
    assert llm.attempts == [1, 2, 3]


async def test_attempts_go_on_counting_from_earlier_runs() -> None:
    llm = ScriptedLLM([away()])
    await retrying(llm).complete(make_job(), CallHistory(4))
    assert llm.attempts == [4, 5]


async def test_attempts_are_bounded() -> None:
    llm = ScriptedLLM([away() for _ in range(9)])
    with pytest.raises(Unavailable) as fault:
        await retrying(llm).complete(make_job(), CallHistory(1))
    assert (fault.value.attempts, len(llm.attempts)) == (4, 4)


async def test_what_would_fail_again_is_not_tried_again() -> None:
    llm = ScriptedLLM([refusal()])
    with pytest.raises(Rejected):
        await retrying(llm).complete(make_job(), CallHistory(1))
    assert llm.attempts == [1]


async def test_a_call_that_could_not_be_made_is_no_attempt() -> None:
    unasked = refusal()
    unasked.attempts = 0
    sink = RecordingSink()
    inner = ObservedClient(ScriptedLLM([away(), unasked]), sink)
    client = RetryingClient(inner, max_attempts=4, backoff_seconds=0.001, max_backoff_seconds=0.001)
    with pytest.raises(Rejected) as fault:
        await client.complete(make_job(), CallHistory(1))
    assert (fault.value.attempts, len(sink.of(ProviderCalled))) == (1, 1)


async def test_a_pause_that_would_miss_the_deadline_is_not_begun() -> None:
    llm = ScriptedLLM([RateLimited("slow down", retry_after_seconds=30)])
    with pytest.raises(RateLimited) as fault:
        await retrying(llm).complete(make_job(deadline_in=timedelta(seconds=5)), CallHistory(1))
    assert (fault.value.attempts, fault.value.rate_limited) == (1, True)


async def test_an_unknown_outcome_is_repeated_and_marked() -> None:
    completion = await retrying(ScriptedLLM([silence()])).complete(make_job(), CallHistory(1))
    assert completion.possible_duplicate_charge


async def test_an_unknown_outcome_is_not_repeated_when_the_job_says_fail() -> None:
    llm = ScriptedLLM([silence()])
    with pytest.raises(OutcomeUnknown) as fault:
        await retrying(llm).complete(make_job(on_unknown="fail"), CallHistory(1))
    assert llm.attempts == [1]
    # One call is at most one charge
    assert not fault.value.possible_duplicate_charge


async def test_a_failure_after_a_repeated_unknown_outcome_is_marked() -> None:
    llm = ScriptedLLM([silence(), refusal()])
    with pytest.raises(Rejected) as fault:
        await retrying(llm).complete(make_job(), CallHistory(1))
    assert fault.value.possible_duplicate_charge


async def test_every_attempt_is_told() -> None:
    sink = RecordingSink()
    inner = ObservedClient(ScriptedLLM([away(), silence()]), sink)
    client = RetryingClient(inner, max_attempts=4, backoff_seconds=0.001, max_backoff_seconds=0.001)
    await client.complete(make_job(), CallHistory(1))
    assert [(event.attempt, event.outcome) for event in sink.of(ProviderCalled)] == [
        (1, "UPSTREAM_UNAVAILABLE"),
        (2, "UPSTREAM_TIMEOUT"),
        (3, "succeeded"),
    ]


async def test_calls_are_known_also_when_the_run_is_cut_off() -> None:
    # Given a run that had an unknown outcome and is in its second call
    llm, history = ScriptedLLM([silence()]), CallHistory(1)
    llm.hangs_after = 1
    run = asyncio.ensure_future(retrying(llm).complete(make_job(), history))
    await llm.hanging.wait()
    # When it is cut off
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    # Then both calls are known, and that the first may be charged too
    assert (history.calls, history.may_have_charged_twice) == (2, True)
