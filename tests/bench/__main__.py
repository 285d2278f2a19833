"""`python -m tests.bench [--short] [--only PART,PART] [--rounds N] [--points "c=64,hit c=1"]`."""

import argparse
import shlex
import sys
from dataclasses import asdict, replace
from pathlib import Path

import orjson

from tests.bench.compare import compared_lines
from tests.bench.parts import PARTS, Words
from tests.bench.peers.known import PEERS
from tests.bench.peers.running import installed_peers
from tests.bench.progress import say
from tests.bench.report import Report
from tests.bench.servers import ROOT, running_brokers
from tests.bench.throughput import Plan, Point, points_called
from tests.support.availability import Unavailable

RESULTS = ROOT / ".cache" / "bench"

_DEFAULT_PARTS = [name for name in PARTS if name != "memory"]  # which takes the better part of an hour
_SHORT_PARTS = ["throughput", "stages", "in-flight", "first-token"]
_SHORT_PLAN = Plan(points_called("c=1,c=64,chat c=64,hit c=64,replay c=64"), 1, 1, 2)
_TINY_PLAN = Plan(points_called("c=16"), rounds=1, warm_up_seconds=1, seconds=3)


def main() -> None:
    """Exit code 1 only if answers were wrong or missing: no figure fails a build."""
    parsed = _parse()
    # Now: this run may write the same file.
    earlier = orjson.loads(parsed.compare.read_bytes()) if parsed.compare else None
    try:
        report = _run(_words(parsed), parsed.only)
    except Unavailable as reason:
        print(f"the bench cannot run here: {reason}", file=sys.stderr)
        raise SystemExit(2) from None
    report.save(parsed.results)
    print(report.markdown())
    if earlier is not None:
        print("\n".join(compared_lines(earlier, asdict(report))))
    raise SystemExit(1 if report.problem else 0)


def _run(words: Words, only: list[str]) -> Report:
    with running_brokers() as brokers:
        say(brokers.name)
        command = shlex.join(["python", "-m", "tests.bench", *sys.argv[1:]])
        report = Report(command=command, brokers=brokers.name, settings=dict(words.settings))
        for name in only:
            try:
                PARTS[name](brokers, words, report)
            except Unavailable as reason:  # the other parts go on
                report.notes.append(f"{name} was not measured: {reason}")
                say(report.notes[-1])
    return report


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--short", action="store_true", help="about a minute, for CI: figures of little weight"
    )
    parser.add_argument(
        "--tiny", action="store_true", help="one point of 5 s: only shows that the bench runs"
    )
    parser.add_argument("--only", type=_parts, help=f"comma separated, of: {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, help="how often each point is measured")
    parser.add_argument("--points", type=_points, help='of the throughput, such as "c=64,hit c=1"')
    parser.add_argument(
        "--peers",
        help=f"of {', '.join(PEERS)}, comma separated, or none; all that are installed unless --short "
        "(python -m tests.bench.peers installs them)",
    )
    parser.add_argument(
        "--max-queue-seconds", type=float, default=0.1, help="LLM_MAX_QUEUE_SECONDS of the overload"
    )
    parser.add_argument("--requests", type=int, default=1_000_000, help="of the memory part (--only memory)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the pinned service"
    )
    parser.add_argument("--compare", type=Path, metavar="OLD.json", help="the results.json of an earlier run")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of results.md and results.json")
    parsed = parser.parse_args()
    if parsed.only is None:
        parsed.only = _DEFAULT_PARTS if not parsed.tiny else ["throughput"]
        parsed.only = _SHORT_PARTS if parsed.short else parsed.only
    return parsed


def _words(parsed: argparse.Namespace) -> Words:
    plan = _TINY_PLAN if parsed.tiny else _SHORT_PLAN if parsed.short else Plan()
    points = plan.points if parsed.points is None else parsed.points
    plan = replace(plan, points=points, rounds=parsed.rounds or plan.rounds)
    is_brief = parsed.short or parsed.tiny
    peers = _peers(parsed.peers) if parsed.peers else [] if is_brief else installed_peers()
    settings = dict(each.split("=", 1) for each in parsed.set)
    return Words(plan, tuple(peers), parsed.max_queue_seconds, parsed.requests, settings, is_short=is_brief)


def _peers(names: str) -> list[str]:
    peers = [] if names == "none" else names.split(",")
    for name in peers:
        if name not in PEERS:
            raise SystemExit(f"--peers {name}: not known; there are {', '.join(PEERS)}")
        if not PEERS[name].is_installed():
            raise SystemExit(f"--peers {name}: not installed; python -m tests.bench.peers {name} does it")
    return peers


def _points(names: str) -> tuple[Point, ...]:
    try:
        return points_called(names)
    except ValueError as reason:
        raise argparse.ArgumentTypeError(str(reason)) from None


def _parts(names: str) -> list[str]:
    unknown = set(names.split(",")) - set(PARTS)
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: there are {', '.join(PARTS)}")
    return names.split(",")


if __name__ == "__main__":
    main()
