"""Which answers may stand for others, by setting and by request."""

from typing import Any

import pytest

from shared.domain.caching import CachePolicy, is_complete, must_be_cached, shared_answer, shared_failure
from shared.domain.result import Succeeded
from tests.support.jobs import make_failure, make_job, make_success


@pytest.mark.parametrize(
    ("setting", "temperature", "cache", "covers", "reads"),
    [
        ("off", 0, None, False, False),
        ("off", 0, {"mode": "refresh"}, False, False),
        ("deterministic", 0, None, True, True),
        ("deterministic", 0, {"mode": "default"}, True, True),
        ("deterministic", 0.1, None, False, False),
        ("deterministic", 0.1, {"mode": "refresh"}, False, False),
        ("all", 0.1, None, True, True),
        ("all", 0.1, {"mode": "bypass"}, False, False),
        ("all", 0, {"mode": "bypass"}, False, False),
        ("all", 0, {"mode": "refresh"}, True, False),
        ("all", 0, {"mode": "only"}, True, True),
    ],
)
def test_setting_and_request_decide_together(
    setting: Any, temperature: float, cache: dict[str, Any] | None, covers: bool, reads: bool
) -> None:
    policy = CachePolicy(setting, 60)
    job = make_job(temperature=temperature, cache=cache)
    assert (policy.covers(job), policy.reads(job)) == (covers, reads)
    assert must_be_cached(job) is (cache == {"mode": "only"})


def test_a_request_may_say_how_long_its_answer_is_kept() -> None:
    policy = CachePolicy("all", 60)
    assert policy.ttl_of(make_job()) == 60
    assert policy.ttl_of(make_job(cache={"ttl_seconds": 5})) == 5


def finished(*reasons: str | None) -> Succeeded:
    answer = {"choices": [{"finish_reason": reason} for reason in reasons]}
    return make_success(make_job()).model_copy(
        update={"provider_answer": answer, "finish_reason": reasons[0]}
    )


@pytest.mark.parametrize(
    ("reasons", "is_whole"),
    [
        (["stop"], True),
        (["tool_calls"], True),
        (["length"], False),
        (["content_filter"], False),
        ([None], False),
        (["stop", "length"], False),
        (["stop", "stop"], True),
    ],
)
def test_only_whole_answers_are_kept(reasons: list[str | None], is_whole: bool) -> None:
    assert is_complete(finished(*reasons)) is is_whole


def test_a_failure_is_not_kept_and_an_older_answer_counts_by_its_one_choice() -> None:
    assert not is_complete(make_failure(make_job()))
    assert is_complete(make_success(make_job()))


def test_anothers_answer_is_the_jobs_own_and_cost_nothing() -> None:
    known = make_success(make_job(), "Paris", attempts=3).model_copy(
        update={"cost_usd": 0.5, "possible_duplicate_charge": True, "rate_limited": True}
    )
    job = make_job(metadata={"team": "a"})
    answer = shared_answer(known, job)
    assert (answer.request_id, answer.metadata, answer.message) == (
        job.id.request_id,
        {"team": "a"},
        known.message,
    )
    assert (answer.from_cache, answer.cost_usd, answer.attempts, answer.llm_latency_ms) == (True, 0.0, 0, 0.0)
    assert (answer.possible_duplicate_charge, answer.rate_limited) == (False, False)
    assert answer.usage == known.usage


def test_anothers_failure_keeps_its_reason() -> None:
    known, job = make_failure(make_job(), attempts=2), make_job()
    failure = shared_failure(known, job)
    assert (failure.request_id, failure.error, failure.attempts) == (job.id.request_id, known.error, 0)
