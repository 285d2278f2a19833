"""What a gateway counts of what it answered."""

from datetime import timedelta

from prometheus_client import REGISTRY

from gateway.service import Answered
from gateway.stats import Stats
from shared.adapters.memory_result_store import MemoryResultStore
from tests.support.jobs import make_job, make_success


def hits() -> float:
    return REGISTRY.get_sample_value("llm_cache_lookups_total", {"outcome": "hit"}) or 0.0


def test_an_answer_from_the_cache_is_counted_because_no_fact_tells_of_it() -> None:
    stats, answered = Stats(MemoryResultStore(timedelta(hours=1))), make_success(make_job())
    before = hits()
    stats.count_outcome(Answered(answered))
    stats.count_outcome(Answered(answered, is_replay=True))
    assert hits() == before
    stats.count_outcome(Answered(answered, is_cache_hit=True))
    assert hits() == before + 1
