"""One retry layer, bounded by attempts and by the job's deadline."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.errors import ErrorCode
from shared.domain.events import ProviderCalled
from shared.domain.job import Job
from tests.support.jobs import RecordingSink, make_job
from tests.support.llm_faults import away, silence
from worker.llm.observed_client import ObservedClient
from worker.llm.retrying_client import RetryingClient
from worker.ports import (
    CallHistory,
    CircuitOpen,
    Completion,
    LLMError,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Tell,
    Unavailable,
)
from worker.slots import Slots


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
        llm,
        Slots(1),
        max_attempts=max_attempts,
        backoff_seconds=backoff_seconds,
        max_backoff_seconds=backoff_seconds,
    )


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
    client = RetryingClient(inner, Slots(1), max_attempts=4, backoff_seconds=0.001, max_backoff_seconds=0.001)
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
    client = RetryingClient(inner, Slots(1), max_attempts=4, backoff_seconds=0.001, max_backoff_seconds=0.001)
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


# --- while the circuit is open ---


class Outage:
    """An open circuit, for so many looks at it."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def seconds(self, job: Job) -> float:
        return 0.001 if self.looks else 0.0

    def refusal(self) -> LLMError:
        self.looks -= 1
        return CircuitOpen("nothing was asked", 0.001)


@dataclass
class BehindCircuit:
    """Refuses while the outage lasts, then does as `inner`."""

    inner: ScriptedLLM
    outage: Outage
    refusals: int = 0

    async def complete(self, job: Job, attempt: int, tell: Tell | None = None) -> Completion:
        if self.outage.looks:
            self.refusals += 1
            raise self.outage.refusal()
        return await self.inner.complete(job, attempt, tell)


def behind_circuit(
    inner: ScriptedLLM, outage: Outage, max_attempts: int = 3
) -> tuple[RetryingClient, BehindCircuit]:
    gated = BehindCircuit(inner, outage)
    client = RetryingClient(
        gated,
        Slots(1),
        max_attempts=max_attempts,
        backoff_seconds=0.001,
        max_backoff_seconds=0.001,
        circuit_seconds=outage.seconds,
    )
    return client, gated


def waited_for() -> Job:
    return replace(make_job(), wait_seconds=60)


async def test_a_caller_who_waits_is_told_at_once_that_nobody_can_be_asked() -> None:
    client, gated = behind_circuit(ScriptedLLM([]), Outage(99))
    with pytest.raises(CircuitOpen) as told:
        await client.complete(waited_for(), CallHistory(1))
    assert (gated.refusals, told.value.attempts, told.value.retry_after_seconds) == (1, 0, 0.001)


async def test_a_caller_whose_job_was_under_way_keeps_its_tries() -> None:
    outage = Outage(0)
    llm = ScriptedLLM([away()])
    client, gated = behind_circuit(llm, outage, max_attempts=4)
    history = CallHistory(1, calls=1)  # its first call failed and opened the circuit
    outage.looks = 2
    completion = await client.complete(waited_for(), history)
    assert (gated.refusals, llm.attempts, completion.attempts) == (2, [2, 3], 3)


async def test_these_tries_are_bounded() -> None:
    client, gated = behind_circuit(ScriptedLLM([]), Outage(99))
    with pytest.raises(CircuitOpen) as told:
        await client.complete(waited_for(), CallHistory(1, calls=1))
    assert (gated.refusals, told.value.attempts) == (3, 1)


async def test_a_job_that_nobody_waits_for_stays_until_it_can_be_asked() -> None:
    llm = ScriptedLLM([])
    client, gated = behind_circuit(llm, Outage(7))
    completion = await client.complete(make_job(), CallHistory(1))
    assert (gated.refusals, llm.attempts, completion.attempts) == (7, [1], 1)


async def test_a_job_whose_caller_has_gone_stays_too() -> None:
    gone = replace(waited_for(), created_at=datetime.now(UTC) - timedelta(seconds=61))
    client, gated = behind_circuit(ScriptedLLM([]), Outage(7))
    await client.complete(gone, CallHistory(1))
    assert gated.refusals == 7


async def test_it_does_not_stay_beyond_its_deadline() -> None:
    client, _ = behind_circuit(ScriptedLLM([]), Outage(10**9))
    with pytest.raises(CircuitOpen):
        await client.complete(make_job(deadline_in=timedelta(seconds=1)), CallHistory(1))


async def test_tries_that_found_the_provider_away_do_not_end_a_job_that_nobody_waits_for() -> None:
    # Given a circuit that every failure opens
    outage = Outage(0)

    class Failing(ScriptedLLM):
        async def complete(self, job: Job, attempt: int, tell: Tell | None = None) -> Completion:
            outage.looks = 2 if self.faults else 0
            return await super().complete(job, attempt, tell)

    llm = Failing([away() for _ in range(6)])
    client, _ = behind_circuit(llm, outage, max_attempts=3)
    completion = await client.complete(make_job(), CallHistory(1))
    assert completion.attempts == 7


async def test_a_key_that_is_to_be_left_alone_costs_no_try() -> None:
    holds = [RateLimited("nothing was asked", retry_after_seconds=0.001) for _ in range(9)]
    for hold in holds:
        hold.attempts = 0
    llm = ScriptedLLM([*holds])
    completion = await retrying(llm, max_attempts=2).complete(make_job(), CallHistory(1))
    assert (completion.attempts, set(llm.attempts)) == (1, {1})
