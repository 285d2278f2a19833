"""What Prometheus is told is what the facts say."""

from dataclasses import replace
from typing import Any

from prometheus_client import REGISTRY

from shared.domain.events import Event, JobFailed, ProviderCalled
from shared.domain.job import JobId
from shared.domain.result import Failed, Succeeded
from tests.contract.examples import failure_of, success_of
from tests.support.jobs import make_job
from worker.job_events import job_event
from worker.metrics import MeteredEvents

JOB = JobId("anna", "6f0a1c2e-7b3d-4e5f-8a9b-0c1d2e3f4a5b")


class Kept:
    """`EventSink` that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Event] = []

    def emit(self, event: Event) -> None:
        self.told.append(event)


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def grown(event: Event, name: str, **labels: str) -> float:
    """What a series has more once the fact was told, which goes on as it came."""
    before, sink = value(name, **labels), Kept()
    MeteredEvents(sink).emit(event)
    assert sink.told == [event]
    return value(name, **labels) - before


def called(outcome: str = "succeeded", **more: Any) -> ProviderCalled:
    return ProviderCalled(
        owner="anna", request_id="a", model="m", attempt=1, outcome=outcome, latency_ms=1500.0, **more
    )


GEN_AI = {
    "gen_ai_operation_name": "chat",
    "gen_ai_provider_name": "openai",
    "gen_ai_request_model": "m",
    "gen_ai_response_model": "m-1",
}
ANSWERED: dict[str, Any] = {
    "response_model": "m-1",
    "prompt_tokens": 9,
    "completion_tokens": 3,
    "cost_usd": 0.25,
}


def test_a_call_tells_its_tokens_its_time_and_its_cost() -> None:
    call, usage = called(**ANSWERED), "gen_ai_client_token_usage_sum"
    assert grown(call, usage, **GEN_AI, gen_ai_token_type="input") == 9
    assert grown(call, usage, **GEN_AI, gen_ai_token_type="output") == 3
    assert grown(call, "gen_ai_client_operation_duration_seconds_sum", **GEN_AI, error_type="") == 1.5
    assert grown(call, "llm_cost_usd_total", model="m-1") == 0.25
    assert grown(call, "llm_provider_attempts_total", outcome="succeeded") == 1
    assert grown(called(**{**ANSWERED, "cost_usd": None}), "llm_unpriced_answers_total") == 1


def test_a_call_that_failed_has_its_error_and_costs_nothing() -> None:
    call = called("UPSTREAM_RATE_LIMITED")
    labels = {**GEN_AI, "gen_ai_response_model": "", "error_type": "UPSTREAM_RATE_LIMITED"}
    assert grown(call, "gen_ai_client_operation_duration_seconds_count", **labels) == 1
    assert grown(call, "llm_provider_attempts_total", outcome="UPSTREAM_RATE_LIMITED") == 1
    assert grown(call, "llm_unpriced_answers_total") == 0


def test_an_answer_of_another_model_is_counted_for_both() -> None:
    labels = {"model": "asked-for", "answered_by": "m"}
    assert grown(called(fallback_for="asked-for", **ANSWERED), "llm_fallbacks_total", **labels) == 1
    assert grown(called("UPSTREAM_TIMEOUT", fallback_for="asked-for"), "llm_fallbacks_total", **labels) == 0


def ended(result: Succeeded | Failed, **more: Any) -> Event:
    return job_event(replace(make_job(), id=JOB), result.model_copy(update=more))


def test_a_job_tells_how_it_ended_and_how_long_it_took() -> None:
    succeeded = ended(success_of(JOB), total_ms=2000.0, retries={"UPSTREAM_TIMEOUT": 2})
    assert grown(succeeded, "llm_jobs_total", status="succeeded") == 1
    assert grown(succeeded, "llm_job_duration_seconds_sum") == 2
    assert grown(succeeded, "llm_queue_delay_seconds_count", priority="normal") == 1
    assert grown(succeeded, "llm_retries_total", reason="UPSTREAM_TIMEOUT") == 2
    failed = ended(failure_of(JOB))
    assert grown(failed, "llm_job_errors_total", error_code="UPSTREAM_RATE_LIMITED") == 1
    assert grown(ended(failure_of(JOB), possible_duplicate_charge=True), "llm_possible_duplicate_calls_total")


def test_a_job_that_anothers_call_served_spent_nothing() -> None:
    event = ended(success_of(JOB), from_cache=True, cost_usd=0.0)
    assert (event.prompt_tokens, event.completion_tokens, event.cost_usd) == (None, None, None)  # type: ignore[union-attr]
    assert grown(event, "llm_jobs_from_cache_total") == 1


def test_a_dead_letter_is_counted_and_a_failed_job_is_none() -> None:
    failure = JobFailed(owner=None, request_id=None, error={"error_code": "INVALID_JSON"}, attempt=0)
    assert grown(failure, "llm_dead_letters_total") == 0
    letter = JobFailed(
        owner=None, request_id=None, error={"error_code": "INVALID_JSON"}, attempt=0, topic="llm-requests"
    )
    assert grown(letter, "llm_dead_letters_total") == 1
