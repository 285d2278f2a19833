"""`python -m tests.chaos`: break the working service, and check what must hold. Exit 1 if it does not."""

import argparse
import asyncio
import shlex
import sys
from dataclasses import replace

from tests.chaos.campaign import run_campaign
from tests.chaos.deployment import ROOT, Surroundings
from tests.chaos.outcome import Outcome, judge
from tests.chaos.plans import LONG, SHORT
from tests.chaos.redis_faults import RedisPlan
from tests.chaos.report import markdown, write_results
from tests.chaos.scene import Plan
from tests.support.availability import Unavailable
from tests.support.kafka_brokers import find_apache_kafka
from tests.support.provider_process import ScriptedProvider
from tests.support.redis_process import RedisBinary, RedisServer
from tests.support.redis_servers import any_binary
from tests.support.server import AnyRedis

_RESULTS = ROOT / ".cache" / "chaos"


def main() -> int:
    words = _words()
    plans = _plans(words)
    command = shlex.join(["python", "-m", "tests.chaos", *sys.argv[1:]])
    try:
        kafka, binary = find_apache_kafka(), any_binary()
    except Unavailable as reason:
        print(f"cannot run here: {reason}")
        return 2
    brokers = f"{kafka.name}, {binary.name}"
    print(f"on {brokers}", flush=True)
    outcomes: list[Outcome] = []
    with kafka, ScriptedProvider() as provider:
        for name, plan in plans.items():
            print(f"\n{plan.fault}: {plan.jobs} jobs, {plan.a_second:g}/s", flush=True)
            with _redis(plan, binary) as redis:
                surroundings = Surroundings(kafka, redis, provider)
                evidence = asyncio.run(run_campaign(plan, surroundings, _RESULTS / name, _say))
            outcomes.append(judge(evidence))
            write_results(_RESULTS, outcomes, brokers, command)
    print("\n" + markdown(outcomes, brokers, command))
    return 1 if any(outcome.violations for outcome in outcomes) else 0


def _words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--short", action="store_true", help="about a minute a campaign, for CI")
    parser.add_argument("--jobs", type=int, help="jobs a campaign")
    parser.add_argument("--only", default=",".join(LONG), help=f"comma separated; default: {','.join(LONG)}")
    words = parser.parse_args()
    if unknown := set(words.only.split(",")) - set(LONG):
        parser.error(f"--only: unknown: {', '.join(sorted(unknown))}; allowed: {', '.join(LONG)}")
    return words


def _plans(words: argparse.Namespace) -> dict[str, Plan]:
    known = SHORT if words.short else LONG
    plans = {name: known[name] for name in words.only.split(",")}
    return {name: replace(plan, jobs=words.jobs or plan.jobs) for name, plan in plans.items()}


def _redis(plan: Plan, binary: RedisBinary) -> AnyRedis:
    return plan.redis(binary) if isinstance(plan, RedisPlan) else RedisServer(binary)


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
