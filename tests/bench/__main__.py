"""`python -m tests.bench [--short] [--only throughput|in-flight|first-token|telemetry]`."""

import argparse
import os
import sys
import time
from itertools import chain
from pathlib import Path

import uvloop

from tests.bench.cores import ALL_CORES, CpuMeter, pin
from tests.bench.first_token import FirstToken, measure_first_token
from tests.bench.in_flight import InFlight, Offer, measure_in_flight
from tests.bench.report import Report
from tests.bench.servers import (
    HOST,
    ROOT,
    Brokers,
    running_brokers,
    running_fast_provider,
    running_service,
    separate,
)
from tests.bench.telemetry import Telemetry, measure_telemetry
from tests.bench.throughput import Plan, Sample, measure_throughput
from tests.support.availability import Unavailable
from tests.support.provider_process import ScriptedProvider

RESULTS = ROOT / ".cache" / "bench"

_SHORT_PLAN = Plan(rounds=1, warm_up_seconds=1, seconds=2)
_TINY_PLAN = Plan(connections=(16,), has_replay=False, rounds=1, warm_up_seconds=1, seconds=4)
_STREAMS, _SHORT_STREAMS = 500, 50
_SHORT_OFFER = Offer(call_seconds=3, steady_seconds=5)

_started_at = time.monotonic()


def main() -> None:
    """Exit code 1 only if answers were wrong or missing: no figure fails a build."""
    words = _parse()
    try:
        report = _run(words)
    except Unavailable as reason:
        print(f"the bench cannot run here: {reason}", file=sys.stderr)
        raise SystemExit(2) from None
    report.save(words.results)
    print(report.markdown())
    raise SystemExit(1 if report.problem else 0)


def _run(words: argparse.Namespace) -> Report:
    with running_brokers() as brokers:
        say(brokers.name)
        report = Report(command=" ".join(["python -m tests.bench", *sys.argv[1:]]), brokers=brokers.name)
        if words.only in (None, "throughput"):
            report.throughput = _throughput(brokers, _plan(words))
        if words.only in (None, "in-flight") and not words.tiny:
            report.in_flight = _in_flight(brokers, _SHORT_OFFER if words.short else Offer())
        if words.only in (None, "first-token") and not words.tiny:
            report.first_token = _first_token(brokers, _SHORT_STREAMS if words.short else _STREAMS)
        if words.only in (None, "telemetry") and not words.tiny:
            report.telemetry = _telemetry(brokers)
    return report


def say(text: str) -> None:
    """Progress, apart from the results."""
    print(f"{time.monotonic() - _started_at:6.1f} s  {text}", file=sys.stderr, flush=True)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--short", action="store_true", help="about 40 s, for CI: figures of little weight")
    parser.add_argument(
        "--tiny", action="store_true", help="one point of 5 s: only shows that the bench runs"
    )
    parser.add_argument("--only", choices=["throughput", "in-flight", "first-token", "telemetry"])
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of results.md and results.json")
    return parser.parse_args()


def _plan(words: argparse.Namespace) -> Plan:
    if words.tiny:
        return _TINY_PLAN
    return _SHORT_PLAN if words.short else Plan()


def _throughput(brokers: Brokers, plan: Plan) -> list[Sample]:
    with (
        running_fast_provider() as (provider, provider_url),
        running_service(brokers, provider_url) as service,
    ):
        say("gateway and worker are ready: throughput")
        meter = separate(service, brokers.pids | {"provider": [provider.pid]})
        try:
            return uvloop.run(measure_throughput(service.port, meter, plan, say))
        finally:
            pin([os.getpid(), *chain(*brokers.pids.values())], ALL_CORES)


def _in_flight(brokers: Brokers, offer: Offer) -> InFlight:
    with (
        ScriptedProvider() as provider,
        running_service(brokers, provider.base_url, WORKER_CONCURRENCY=f"{offer.slots}") as service,
    ):
        say(f"gateway and worker are ready: {offer.per_second * offer.call_seconds:.0f} calls in flight")
        meter = CpuMeter({**service.pids, **brokers.pids, "provider": [provider.child.pid]})
        return uvloop.run(measure_in_flight(service, meter, provider, offer, say))


def _telemetry(brokers: Brokers) -> Telemetry:
    return uvloop.run(measure_telemetry(brokers, say))


def _first_token(brokers: Brokers, streams: int) -> FirstToken:
    with (
        ScriptedProvider() as provider,
        running_service(brokers, provider.base_url) as service,
    ):
        say("gateway and worker are ready: the first word of a stream")
        url = f"http://{HOST}:{service.port}/v1"
        return uvloop.run(measure_first_token(provider.base_url, url, streams, say))


if __name__ == "__main__":
    main()
