"""The worker's figures for Prometheus, made of the facts that it tells: so they add up to the same.

`gen_ai_*` as OpenTelemetry names and cuts them (semantic conventions for generative AI, metrics).
"""

from functools import lru_cache

from prometheus_client import Counter, Gauge, Histogram

from shared.domain.events import Event, JobFailed, JobFinished, ProviderCalled
from shared.domain.priority import PRIORITIES
from shared.domain.totals import model_label
from shared.ports import EventSink
from shared.telemetry.quick_counts import QuickCounter
from shared.telemetry.quick_histogram import QuickHistogram

_TOKEN_BUCKETS = tuple(4**power for power in range(14))
_CALL_SECONDS_BUCKETS = tuple(0.01 * 2**power for power in range(14))
_JOB_SECONDS_BUCKETS = tuple(0.005 * 2**power for power in range(20))

_GEN_AI = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "gen_ai_response_model")
_OPERATION, _PROVIDER = "chat", "openai"
_MOST_PAIRS = 256
_OTHER = "other"

TOKEN_USAGE = QuickHistogram(
    "gen_ai_client_token_usage",
    "Tokens of a provider call, by whether they went in or came out",
    (*_GEN_AI, "gen_ai_token_type"),
    buckets=_TOKEN_BUCKETS,
)
OPERATION_DURATION = QuickHistogram(
    "gen_ai_client_operation_duration_seconds",
    "How long a provider call took; error_type is empty where it was answered",
    (*_GEN_AI, "error_type"),
    buckets=_CALL_SECONDS_BUCKETS,
)
ATTEMPTS = QuickCounter("llm_provider_attempts", "Provider calls, by how they ended", ("outcome",))
COST = QuickCounter("llm_cost_usd", "Dollars of answers whose price is known", ("model",))
UNPRICED = Counter("llm_unpriced_answers", "Answers of models whose price is not known")
JOBS = QuickCounter("llm_jobs", "Jobs that this worker ended, by their status", ("status",))
JOB_DURATION = QuickHistogram(
    "llm_job_duration_seconds",
    "From when a job was asked for to its end",
    buckets=_JOB_SECONDS_BUCKETS,
)
QUEUE_DELAY = QuickHistogram(
    "llm_queue_delay_seconds",
    "From when a job was asked for to its begin, by its priority",
    ("priority",),
    buckets=_JOB_SECONDS_BUCKETS,
)
RETRIES = Counter("llm_retries", "Provider calls that were repeated, by why", ("reason",))
JOB_ERRORS = Counter("llm_job_errors", "Jobs that failed, by their error", ("error_code",))
JOBS_FROM_CACHE = Counter("llm_jobs_from_cache", "Jobs that were answered by another's call")
POSSIBLE_DUPLICATE_CALLS = Counter(
    "llm_possible_duplicate_calls", "Results that say the provider may have charged their job twice"
)
DEAD_LETTERS = Counter("llm_dead_letters", "Records that can never become a result")
JOBS_IN_FLIGHT = Gauge("llm_jobs_in_flight", "Jobs that run in this worker")
WAITING_JOBS = Gauge("llm_worker_waiting_jobs", "Jobs of this worker's partitions that it has not begun")
DUPLICATE_RECORDS = Counter("llm_duplicate_records", "Records whose job had ended already: no call was made")
FALLBACKS = Counter(
    "llm_fallbacks",
    "Answers of another model, because the one that was asked for is away",
    ("model", "answered_by"),
)
BREAKER_OPEN = Gauge(
    "llm_breaker_open",
    "1 until calls are answered again: of the provider, or of one model there",
    ("circuit",),
)
BREAKER_OPENS = Counter("llm_breaker_opens", "How often a circuit opened", ("circuit",))
LIMITED_KEYS = Gauge("llm_limited_keys", "Provider keys whose calls at once are limited, since a 429")
LIMITED_KEYS_CALLS = Gauge("llm_limited_keys_calls", "Calls at once that they are good for together")
KEY_WAITS = Counter("llm_key_waits", "Calls that had to wait because of their key's limit")
LEASES_LOST = Counter("llm_leases_lost", "Runs whose job went to another worker before they ended")


class MeteredEvents:
    """`EventSink` that counts the facts on their way."""

    def __init__(self, inner: EventSink) -> None:
        self._inner = inner

    def emit(self, event: Event) -> None:
        match event:
            case ProviderCalled():
                _count_call(event)
            case JobFinished():
                _count_job(event)
            case JobFailed() if event.topic is not None:
                DEAD_LETTERS.inc()
        self._inner.emit(event)


class _ModelSeries:
    """The series of one pair of models, found once: a look-up by labels costs a microsecond each."""

    def __init__(self, asked: str, answered: str) -> None:
        models = (model_label(asked), model_label(answered))
        self._labels = (_OPERATION, _PROVIDER, *models)
        self.input_tokens = TOKEN_USAGE.labels(*self._labels, "input")
        self.output_tokens = TOKEN_USAGE.labels(*self._labels, "output")
        self.answered_seconds = self.seconds("")
        self.cost_usd = COST.labels(models[1])

    def seconds(self, error_type: str) -> Histogram:
        return OPERATION_DURATION.labels(*self._labels, error_type)


_pairs: dict[tuple[str, str], _ModelSeries] = {}
_attempts = lru_cache(ATTEMPTS.labels)
_queue_delays = {priority: QUEUE_DELAY.labels(priority) for priority in PRIORITIES}
_jobs = lru_cache(JOBS.labels)


def _series(asked: str, answered: str) -> _ModelSeries:
    """Those of `other` where there are too many: callers and providers choose the names."""
    found = _pairs.get((asked, answered))
    if found is None:
        if len(_pairs) >= _MOST_PAIRS:
            asked = answered = _OTHER
        found = _pairs[asked, answered] = _ModelSeries(asked, answered)
    return found


def _count_call(call: ProviderCalled) -> None:
    series, is_answered = _series(call.model, call.response_model or ""), call.outcome == "succeeded"
    _attempts(call.outcome).inc()
    duration = series.answered_seconds if is_answered else series.seconds(call.outcome)
    duration.observe(call.latency_ms / 1000)
    if call.prompt_tokens is not None and call.completion_tokens is not None:
        series.input_tokens.observe(call.prompt_tokens)
        series.output_tokens.observe(call.completion_tokens)
    if call.fallback_for is not None and is_answered:
        FALLBACKS.labels(model_label(call.fallback_for), model_label(call.model)).inc()
    if call.cost_usd is not None:
        series.cost_usd.inc(call.cost_usd)
    elif is_answered:
        UNPRICED.inc()


def _count_job(job: JobFinished) -> None:
    _jobs(job.status).inc()
    JOB_DURATION.observe(job.total_ms / 1000)
    _queue_delays[job.priority].observe(job.queue_ms / 1000)
    if job.retries:
        for reason, count in job.retries.items():
            RETRIES.labels(reason).inc(count)
    if job.error_code is not None:
        JOB_ERRORS.labels(job.error_code).inc()
    if job.cached:
        JOBS_FROM_CACHE.inc()
    if job.possible_duplicate_charge:
        POSSIBLE_DUPLICATE_CALLS.inc()
