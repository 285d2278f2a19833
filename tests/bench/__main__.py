"""`python -m tests.bench [--short] [--only PART] [--rounds N] [--points "c=64,hit c=1"]`."""

import argparse
import os
import sys
import time
from dataclasses import replace
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
from tests.bench.throughput import Plan, Point, Sample, measure_throughput, points_called
from tests.support.availability import Unavailable
from tests.support.provider_process import ScriptedProvider

RESULTS = ROOT / ".cache" / "bench"

_SHORT_PLAN = Plan(points_called("c=1,c=64,chat c=64,hit c=64,replay c=64"), 1, 1, 2)
_TINY_PLAN = Plan(points_called("c=16"), rounds=1, warm_up_seconds=1, seconds=3)
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
    parser.add_argument("--only", choices=["throughput", "in-flight", "first-token"])
    parser.add_argument("--rounds", type=int, help="how often each point is measured")
    parser.add_argument("--points", type=_points, help='of the throughput, such as "c=64,hit c=1"')
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of results.md and results.json")
    return parser.parse_args()


def _points(names: str) -> tuple[Point, ...]:
    try:
        return points_called(names)
    except ValueError as reason:
        raise argparse.ArgumentTypeError(str(reason)) from None


def _plan(words: argparse.Namespace) -> Plan:
    plan = _TINY_PLAN if words.tiny else _SHORT_PLAN if words.short else Plan()
    return replace(
        plan,
        points=plan.points if words.points is None else words.points,
        rounds=words.rounds or plan.rounds,
    )


def _throughput(brokers: Brokers, plan: Plan) -> list[Sample]:
    with (
        running_fast_provider() as (provider, provider_url),
        running_service(brokers, provider_url) as service,
    ):
        say("gateway and worker are ready: throughput")
        meter = separate(service, brokers.pids | {"provider": [provider.pid]})
        try:
            rounds = range(1, plan.rounds + 1)
            return [
                sample
                for number in rounds
                for sample in measure_throughput(service.port, meter, plan, number, say)
            ]
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
