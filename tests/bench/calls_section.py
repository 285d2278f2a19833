"""What the slow calls and the streams show, as lines of Markdown."""

from tests.bench.first_token import FirstToken
from tests.bench.in_flight import InFlight
from tests.bench.markdown_table import table


def in_flight_lines(found: InFlight) -> list[str]:
    offer = found.offer
    rows = {
        "Offered": f"{offer.per_second}/s for {offer.seconds:.0f} s: {found.jobs} jobs",
        "Calls in flight at the provider, most": f"{found.peak_in_flight}; WORKER_CONCURRENCY={offer.slots}",
        "Queue delay (`queue_ms`) p50 / p99": f"{found.queue_ms_p50:.1f} / {found.queue_ms_p99:.1f} ms",
        "Offered to arrival p50 / p99": f"{found.arrival_ms_p50:.1f} / {found.arrival_ms_p99:.1f} ms",
        "Worker RSS when steady, first / last": f"{found.rss_mib[0]:.0f} / {found.rss_mib[-1]:.0f} MiB",
        "Its growth over the last half": f"{found.rss_growth:+.1%}",
        "Calls made more than once": f"{found.repeated_calls}",
        "CPU gateway / worker / foreign": " / ".join(f"{cores:.2f}" for cores in found.cores.values())
        + " cores",
    }
    title = (
        f"## In flight: calls of {offer.call_seconds:g} s on one worker, not pinned; steady part of "
        f"{offer.steady_seconds:g} s (wanted: p99 below 100 ms, growth below 5 %)"
    )
    return [title, "", *table(["", ""], rows.items())]


def first_token_lines(found: FirstToken) -> list[str]:
    rows = {
        "From the provider itself, p50": found.direct_ms_p50,
        "Through the service, p50": found.through_ms_p50,
        "Through the service, p99": found.through_ms_p99,
        "Added, p50": found.added_ms_p50,
    }
    title = (
        f"## First word of a stream: {found.streams} streams each way, one at a time, not pinned (wanted: "
        "at most 10 ms added at p50)"
    )
    return [title, "", *table(["", "ms"], [(name, f"{ms:.1f}") for name, ms in rows.items()])]
