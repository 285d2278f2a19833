"""A gateway's figures for Prometheus."""

from functools import lru_cache

from prometheus_client import Counter, Gauge, Histogram
from starlette.types import Scope

from shared.telemetry.quick_counts import QuickCounter, QuickGauge
from shared.telemetry.quick_histogram import QuickHistogram

_NO_ROUTE = "none"
_MOST_SERIES = 1024
_TURNED_AWAY_WITH = 503

HTTP_REQUESTS = QuickCounter(
    "http_requests", "HTTP requests that were answered, by route", ("method", "handler", "status")
)
HTTP_DURATION = QuickHistogram(
    "http_request_duration_seconds",
    "From the first byte of a request to the last of its answer, waits and streams included",
    ("method", "handler"),
    buckets=tuple(0.001 * 2**power for power in range(18)),
)
HTTP_IN_PROGRESS = QuickGauge("http_requests_in_progress", "HTTP requests that are being answered")
REQUESTS = QuickCounter("llm_requests", "Submissions by what the caller was told", ("outcome",))
REFUSALS = Counter("llm_refusals", "Requests that never became a job, by their error", ("error_code",))
WAITING = Gauge("llm_waiting_callers", "Callers that this gateway holds")
JOINS = Counter("llm_joins", "Submissions of a job that was queued or running already")
CACHE_LOOKUPS = Counter(
    "llm_cache_lookups",
    "Questions that the response cache was asked before a job was made; no fact tells of a `hit`",
    ("outcome",),
)
IN_FLIGHT = Gauge("llm_requests_in_flight", "Requests for jobs that this gateway has let in and not answered")
IN_FLIGHT_LIMIT = Gauge("llm_requests_in_flight_limit", "How many it lets in at once; +Inf: no limit now")
TURNED_AWAY = Counter("llm_turned_away", "Requests for jobs that were refused unread, beyond that limit")
QUEUE_LAG = Gauge("llm_queue_lag", "Jobs that wait for a worker, as all workers together say")
QUEUE_DRAIN = Gauge("llm_queue_drain_per_second", "Jobs that the workers end a second")
QUEUE_WAIT = Gauge("llm_queue_expected_wait_seconds", "How long a new job would wait for its turn")

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def count_http(scope: Scope, status: int, seconds: float) -> None:
    """One answered request. Paths are told by their route, so that ids make no series."""
    route = scope.get("route")
    handler = route.path if route is not None else _NO_ROUTE
    method = scope["method"] if scope["method"] in _METHODS else "other"
    requests, duration = _http_series(method, handler, status)
    requests.inc()
    duration.observe(seconds)


def count_turned_away(path: str) -> None:
    """One that no route has seen; its path is one of few."""
    requests, duration = _http_series("POST", path, _TURNED_AWAY_WITH)
    requests.inc()
    duration.observe(0.0)
    TURNED_AWAY.inc()


@lru_cache(_MOST_SERIES)
def _http_series(method: str, handler: str, status: int) -> tuple[Counter, Histogram]:
    """Found once: a look-up by labels costs a microsecond."""
    return HTTP_REQUESTS.labels(method, handler, str(status)), HTTP_DURATION.labels(method, handler)
