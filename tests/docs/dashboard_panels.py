"""What the dashboard shows. `NS` stands in every selector: the namespaces that were chosen."""

from collections.abc import Sequence
from dataclasses import dataclass

NS = 'namespace=~"$namespace"'
_RATE = "[$__rate_interval]"


@dataclass(frozen=True, slots=True)
class Panel:
    """Legends and queries, and how they are shown."""

    title: str
    queries: Sequence[tuple[str, str]]
    unit: str = "short"
    kind: str = "timeseries"
    description: str = ""
    thresholds: Sequence[tuple[float, str]] = ()
    is_stacked: bool = False
    width: int = 8
    height: int = 7


def _sum(name: str, by: str = "", more: str = "") -> str:
    """The sum of a counter's rate."""
    selected = f"{name}{{{NS}{',' if more else ''}{more}}}"
    return f"sum{f' by ({by})' if by else ''} (rate({selected}{_RATE}))"


def _quantiles(histogram: str, more: str = "") -> list[tuple[str, str]]:
    buckets = _sum(f"{histogram}_bucket", "le", more)
    return [(f"p{q * 100:g}", f"histogram_quantile({q:g}, {buckets})") for q in (0.5, 0.95, 0.99)]


def _tile(title: str, expression: str, unit: str, description: str, *bad: tuple[float, str]) -> Panel:
    return Panel(title, [("", expression)], unit, "stat", description, bad, width=4, height=4)


_API = 'handler!~"/health.*|/metrics"'
_FAULTS = f'{_API},status=~"5.."'
_HTTP, _JOBS, _CALLS = "http_requests_total", "llm_jobs_total", "llm_provider_attempts_total"

WELL = [
    _tile(
        "Answers that are 5xx",
        f"({_sum(_HTTP, '', _FAULTS)} or vector(0)) / {_sum(_HTTP, '', _API)}",
        "percentunit",
        "Of all that was asked over HTTP",
        (0.01, "orange"),
        (0.05, "red"),
    ),
    _tile("Jobs a second", _sum(_JOBS), "reqps", "That ended, however they did"),
    _tile(
        "p99, end to end",
        _quantiles("llm_job_duration_seconds")[2][1],
        "s",
        "From when a job was asked for to its end",
        (20, "orange"),
        (41, "red"),
    ),
    _tile(
        "A new job waits",
        f"max(llm_queue_expected_wait_seconds{{{NS}}})",
        "s",
        "For its turn, as the workers' own figures say",
        (10, "orange"),
        (60, "red"),
    ),
    _tile(
        "Dependencies away",
        f"count(llm_dependency_up{{{NS}}} == 0) or vector(0)",
        "none",
        "Pairs of a process and what it cannot use",
        (1, "red"),
    ),
    _tile(
        "Dollars an hour",
        f"3600 * {_sum('llm_cost_usd_total')}",
        "currencyUSD",
        "Of answers whose price is known",
    ),
]
TRAFFIC = [
    Panel("HTTP answers by status", [("{{status}}", _sum(_HTTP, "status", _API))], "reqps", is_stacked=True),
    Panel("Submissions by outcome", [("{{outcome}}", _sum("llm_requests_total", "outcome"))], "reqps"),
    Panel("Jobs by how they ended", [("{{status}}", _sum(_JOBS, "status"))], "reqps", is_stacked=True),
    Panel(
        "Under way",
        [
            ("HTTP requests", f"sum(http_requests_in_progress{{{NS}}})"),
            ("callers that are held", f"sum(llm_waiting_callers{{{NS}}})"),
            ("jobs that run", f"sum(llm_jobs_in_flight{{{NS}}})"),
            ("let in for a job", f"sum(llm_requests_in_flight{{{NS}}})"),
            ("as many as are let in", f"sum(llm_requests_in_flight_limit{{{NS}}} < 1e9)"),
        ],
    ),
    Panel("HTTP answers by route", [("{{handler}}", _sum(_HTTP, "handler", _API))], "reqps", width=16),
]
LATENCY = [
    Panel("End to end", _quantiles("llm_job_duration_seconds"), "s"),
    Panel("In the queue", _quantiles("llm_queue_delay_seconds"), "s"),
    Panel("Provider calls", _quantiles("gen_ai_client_operation_duration_seconds"), "s"),
    Panel(
        "POST /invoke, waits included",
        _quantiles("http_request_duration_seconds", 'method="POST",handler="/invoke"'),
        "s",
    ),
    Panel(
        "Provider calls by model, p95",
        [
            (
                "{{gen_ai_request_model}}",
                "histogram_quantile(0.95, "
                + _sum("gen_ai_client_operation_duration_seconds_bucket", "le, gen_ai_request_model")
                + ")",
            )
        ],
        "s",
        width=16,
    ),
]
QUEUE = [
    Panel(
        "Jobs that wait",
        [
            ("of all workers", f"max(llm_queue_lag{{{NS}}})"),
            ("{{instance}}", f"llm_worker_waiting_jobs{{{NS}}}"),
        ],
    ),
    Panel("How fast they end", [("a second", f"max(llm_queue_drain_per_second{{{NS}}})")], "reqps"),
    Panel("A new job waits", [("expected", f"max(llm_queue_expected_wait_seconds{{{NS}}})")], "s"),
]
ERRORS = [
    Panel(
        "Jobs that failed, by error",
        [("{{error_code}}", _sum("llm_job_errors_total", "error_code"))],
        "reqps",
    ),
    Panel(
        "Refused requests, by error",
        [
            ("{{error_code}}", _sum("llm_refusals_total", "error_code")),
            ("of them unread", _sum("llm_turned_away_total")),
        ],
        "reqps",
    ),
    Panel("Provider calls by outcome", [("{{outcome}}", _sum(_CALLS, "outcome"))], "reqps"),
    Panel("Repeated calls, by why", [("{{reason}}", _sum("llm_retries_total", "reason"))], "reqps"),
    Panel(
        "Held back: circuits that are open, keys with a limit",
        [
            ("circuit of {{circuit}}", f"max by (circuit) (llm_breaker_open{{{NS}}})"),
            ("keys with a limit", f"sum(llm_limited_keys{{{NS}}})"),
            ("calls at once of these keys", f"sum(llm_limited_keys_calls{{{NS}}})"),
        ],
    ),
    Panel(
        "Answers of another model",
        [("{{model}} by {{answered_by}}", _sum("llm_fallbacks_total", "model, answered_by"))],
        "reqps",
    ),
    Panel(
        "Charged twice, perhaps; buried; leases lost",
        [
            ("possible duplicate charges", _sum("llm_possible_duplicate_calls_total")),
            ("dead letters", _sum("llm_dead_letters_total")),
            ("leases lost", _sum("llm_leases_lost_total")),
        ],
        "reqps",
    ),
]
MONEY = [
    Panel(
        "Tokens a second",
        [("{{gen_ai_token_type}}", _sum("gen_ai_client_token_usage_sum", "gen_ai_token_type"))],
    ),
    Panel(
        "Tokens a second by model",
        [("{{gen_ai_response_model}}", _sum("gen_ai_client_token_usage_sum", "gen_ai_response_model"))],
        is_stacked=True,
    ),
    Panel(
        "Dollars an hour by model",
        [("{{model}}", f"3600 * {_sum('llm_cost_usd_total', 'model')}")],
        "currencyUSD",
        is_stacked=True,
    ),
    Panel(
        "Dollars in the time shown",
        [("", f"sum(increase(llm_cost_usd_total{{{NS}}}[$__range]))")],
        "currencyUSD",
        "stat",
    ),
    Panel("Answers without a price", [("a second", _sum("llm_unpriced_answers_total"))], "reqps"),
]
REUSE = [
    Panel("Response cache", [("{{outcome}}", _sum("llm_cache_lookups_total", "outcome"))], "reqps"),
    Panel(
        "Answered without a call",
        [
            ("replays", _sum("llm_requests_total", "", 'outcome="replayed"')),
            ("joins", _sum("llm_joins_total")),
            ("by another's call", _sum("llm_jobs_from_cache_total")),
            ("records that came twice", _sum("llm_duplicate_records_total")),
        ],
        "reqps",
        width=16,
    ),
]
REPLICAS = [
    Panel(
        "Replicas", [("{{component}} {{version}}", f"sum by (component, version) (llm_build_info{{{NS}}})")]
    ),
    Panel(
        "Dependencies",
        [("{{dependency}} of {{instance}}", f"llm_dependency_up{{{NS}}}")],
        "bool_on_off",
    ),
    Panel("Jobs that run", [("{{instance}}", f"llm_jobs_in_flight{{{NS}}}")]),
    Panel(
        "CPU",
        [("{{instance}}", f"sum by (instance) (rate(process_cpu_seconds_total{{{NS}}}{_RATE}))")],
        "percentunit",
    ),
    Panel("Memory", [("{{instance}}", f"process_resident_memory_bytes{{{NS}}}")], "bytes"),
    Panel("Open files", [("{{instance}}", f"process_open_fds{{{NS}}}")]),
]
SPOOL = [
    Panel("Facts that wait for Kafka", [("{{instance}}", f"llm_events_spooled{{{NS}}}")]),
    Panel("Sent after a wait", [("a second", _sum("llm_events_resent_total"))], "reqps"),
    Panel("Lost", [("a second", _sum("llm_events_dropped_total"))], "reqps"),
]

ROWS: Sequence[tuple[str, Sequence[Panel]]] = (
    ("Is it well?", WELL),
    ("Traffic", TRAFFIC),
    ("Latency", LATENCY),
    ("Queue", QUEUE),
    ("Errors and retries", ERRORS),
    ("Tokens and dollars", MONEY),
    ("Cache and replays", REUSE),
    ("Replicas and dependencies", REPLICAS),
    ("Events on disk", SPOOL),
)
