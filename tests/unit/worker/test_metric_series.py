"""However odd the names that callers and providers choose, there are only so many series."""

from dataclasses import replace
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY

from shared.domain import totals
from shared.domain.events import ProviderCalled
from shared.domain.job import JobId
from tests.contract.examples import failure_of, success_of
from tests.support.jobs import RecordingSink, make_job
from worker import metrics
from worker.job_events import job_event

MOST_PAIRS, MOST_MODELS = 257, 201


@pytest.fixture
def _nothing_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals, "_seen_models", set())
    monkeypatch.setattr(metrics, "_pairs", {})


def series() -> int:
    return sum(len(family.samples) for family in REGISTRY.collect())


def label_sets(name: str) -> set[tuple[tuple[str, str], ...]]:
    samples = (sample for family in REGISTRY.collect() for sample in family.samples if sample.name == name)
    return {tuple(sorted(sample.labels.items())) for sample in samples}


def throw_odd_names(count: int) -> None:
    told = metrics.MeteredEvents(RecordingSink())
    mark = uuid4()
    for number in range(count):
        odd = f"{mark}/{number % 97}\n'\"{{}}"
        told.emit(
            ProviderCalled(
                owner=odd,
                request_id=odd,
                model=odd,
                response_model=f"{mark}/{number % 89}!",
                attempt=number,
                outcome="succeeded",
                latency_ms=1.0,
                prompt_tokens=1,
                completion_tokens=1,
                cost_usd=0.1,
            )
        )
        job = replace(make_job(), id=JobId(odd, odd))
        for result in (success_of(JobId(odd, odd)), failure_of(JobId(odd, odd))):
            told.emit(job_event(job, result.model_copy(update={"model": odd})))


@pytest.mark.usefixtures("_nothing_seen")
def test_odd_models_and_owners_make_a_bounded_number_of_series() -> None:
    names = ("gen_ai_client_token_usage_count", "llm_cost_usd_total")
    before = {name: label_sets(name) for name in names}
    throw_odd_names(1000)
    after = {name: label_sets(name) for name in names}
    assert 100 < len(after[names[0]] - before[names[0]]) <= 2 * MOST_PAIRS
    assert 80 < len(after[names[1]] - before[names[1]]) <= MOST_MODELS
    # And then there is an end of it, in all that is told
    everything = series()
    throw_odd_names(300)
    assert series() == everything
