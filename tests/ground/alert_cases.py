"""Made-up figures of a service that is well, and for each alert those of one that is not."""

from collections.abc import Mapping

Series = Mapping[str, str]
"""Series to values, in promtool's notation: `0+60x240` grows by 60 a minute for four hours."""

MINUTES = 240
CALLS = "llm_provider_attempts_total"
JOBS = "llm_jobs_total"
HTTP = 'http_requests_total{method="POST",handler="/invoke",status="%s"}'


def grows(a_minute: float) -> str:
    return f"0+{a_minute:g}x{MINUTES}"


def stays(value: float) -> str:
    return f"{value:g}+0x{MINUTES}"


def later(a_minute: float) -> str:
    """Nothing for the first half, and then so many a minute: Prometheus sees the step."""
    half = MINUTES // 2
    return f"0+0x{half} {a_minute:g}+{a_minute:g}x{half - 1}"


WELL: Series = {
    HTTP % "200": grows(600),
    HTTP % "503": grows(6),
    'http_requests_total{method="GET",handler="/health/ready",status="503"}': grows(600),
    JOBS + '{status="succeeded"}': grows(600),
    JOBS + '{status="failed"}': grows(6),
    'llm_job_duration_seconds_bucket{le="40.96"}': grows(605),
    "llm_job_duration_seconds_count": grows(606),
    "llm_queue_expected_wait_seconds": stays(3),
    "llm_queue_lag": stays(30),
    'llm_refusals_total{error_code="INVALID_FIELD"}': grows(60),
    'llm_refusals_total{error_code="QUEUE_FULL"}': stays(7),
    'llm_build_info{component="gateway",version="1"}': stays(1),
    'llm_build_info{component="worker",version="1"}': stays(1),
    'llm_dependency_up{dependency="redis"}': stays(1),
    'llm_dependency_up{dependency="kafka"}': stays(1),
    CALLS + '{outcome="succeeded"}': grows(600),
    CALLS + '{outcome="cut_off"}': grows(300),
    CALLS + '{outcome="UPSTREAM_RATE_LIMITED"}': grows(30),
    CALLS + '{outcome="UPSTREAM_TIMEOUT"}': grows(30),
    'llm_breaker_open{circuit="provider"}': stays(0),
    "llm_dead_letters_total": stays(4),
    "llm_possible_duplicate_calls_total": grows(0.1),
    "llm_leases_lost_total": stays(2),
    "llm_events_spooled": f"0+0x{MINUTES // 2} 800 400 0+0x{MINUTES // 2}",
    "llm_events_dropped_total": stays(9),
    "llm_unpriced_answers_total": stays(1),
}

GONE = f"_x{MINUTES}"
"""No sample at all: the process is not there."""

UNWELL: Mapping[str, Series] = {
    "LlmGatewayErrors": {HTTP % "500": grows(60)},
    "LlmJobsFailing": {JOBS + '{status="expired"}': grows(100)},
    "LlmSlowJobsBurn": {'llm_job_duration_seconds_bucket{le="40.96"}': grows(480)},
    "LlmQueueWaitLong": {"llm_queue_expected_wait_seconds": stays(90)},
    "LlmQueueStuck": {JOBS + f'{{status="{status}"}}': stays(50) for status in ("succeeded", "failed")},
    "LlmCallersTurnedAway": {'llm_refusals_total{error_code="QUEUE_UNAVAILABLE"}': grows(1)},
    "LlmNoGateway": {'llm_build_info{component="gateway",version="1"}': GONE},
    "LlmNoWorker": {'llm_build_info{component="worker",version="1"}': GONE},
    "LlmDependencyDown": {'llm_dependency_up{dependency="redis",instance="other"}': stays(0)},
    "LlmProviderFailing": {CALLS + '{outcome="UPSTREAM_TIMEOUT"}': grows(300)},
    "LlmProviderCircuitOpen": {'llm_breaker_open{circuit="gpt-4o"}': stays(1)},
    "LlmProviderRateLimited": {CALLS + '{outcome="UPSTREAM_QUOTA_EXCEEDED"}': grows(300)},
    "LlmDeadLetters": {"llm_dead_letters_total": later(1)},
    "LlmPossibleDuplicateCharges": {"llm_possible_duplicate_calls_total": grows(1)},
    "LlmLeasesLost": {"llm_leases_lost_total": later(1)},
    "LlmEventsWaiting": {"llm_events_spooled": grows(5)},
    "LlmEventsDropped": {"llm_events_dropped_total": later(1)},
    "LlmUnpricedAnswers": {"llm_unpriced_answers_total": later(1)},
}
