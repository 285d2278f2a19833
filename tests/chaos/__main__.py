"""`python -m tests.chaos`: break the working service, and check what must hold. Exit 1 if it does not."""

import argparse
import asyncio
import logging
import secrets
import shlex
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from tests.chaos.agreement import plans as agreement
from tests.chaos.agreement.report import Verdict, markdown_of, write_verdicts
from tests.chaos.campaign import run_campaign
from tests.chaos.deployment import ROOT, Surroundings
from tests.chaos.detour_kafka import find_detour_kafka
from tests.chaos.kafka_plans import KafkaPlan
from tests.chaos.outcome import Outcome, judge
from tests.chaos.plans import LONG, SEEDED, SHORT, seeded
from tests.chaos.redis_faults import RedisPlan
from tests.chaos.report import markdown, write_results
from tests.chaos.scene import Plan
from tests.support.availability import Unavailable
from tests.support.provider_process import ScriptedProvider
from tests.support.redis_process import RedisBinary, RedisServer
from tests.support.redis_servers import any_binary
from tests.support.server import AnyKafka, AnyRedis

_RESULTS = ROOT / ".cache" / "chaos"


def main() -> int:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it would tell of every fault a hundred times
    words = _words()
    plans = _plans(words)
    command = shlex.join(["python", "-m", "tests.chaos", *sys.argv[1:]])
    try:
        kafka, binary = find_detour_kafka(), any_binary()
    except Unavailable as reason:
        print(f"cannot run here: {reason}")
        return 2
    brokers = f"{kafka.name}, {binary.name}"
    print(f"on {brokers}", flush=True)
    outcomes: list[Outcome] = []
    verdicts: list[Verdict] = []
    folder = _RESULTS if len(plans) > 1 else _RESULTS / next(iter(plans), "")
    with kafka, ScriptedProvider() as provider:
        for name, plan in plans.items():
            _say(f"\n{plan.fault}: {plan.jobs} jobs, {plan.a_second:g}/s" + _seed(plan))
            with _kafka_of(plan, kafka) as own_kafka, _redis_of(plan, binary) as redis:
                surroundings = Surroundings(own_kafka, redis, provider)
                evidence = asyncio.run(run_campaign(plan, surroundings, _RESULTS / name, _say))
            outcomes.append(judge(evidence))
            write_results(folder, outcomes, brokers, command)
        for name in agreement.LONG.keys() & set(words.only.split(",")):
            own = _RESULTS / name
            several = (agreement.SHORT if words.short else agreement.LONG)[name]
            found = agreement.run(several, kafka, binary, own, _say)
            write_verdicts(own, found, brokers, command)
            verdicts += found
    if outcomes:
        print("\n" + markdown(outcomes, brokers, command))
    if verdicts:
        print("\n" + markdown_of(verdicts, brokers, command))
    return 1 if any([*(o.violations for o in outcomes), *(v.violations for v in verdicts)]) else 0


def _kafka_of(plan: Plan, shared: AnyKafka) -> AbstractContextManager[AnyKafka]:
    """A cluster of its own, if the plan does to it what nobody else should have to live with."""
    return plan.kafka() if isinstance(plan, KafkaPlan) else nullcontext(shared)


def _redis_of(plan: Plan, binary: RedisBinary) -> AnyRedis:
    return plan.redis(binary) if isinstance(plan, RedisPlan) else RedisServer(binary)


def _words() -> argparse.Namespace:
    every = [*LONG, *agreement.LONG]
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--short", action="store_true", help="about a minute a campaign, for CI")
    parser.add_argument("--jobs", type=int, help="jobs a campaign")
    parser.add_argument(
        "--only", default=",".join(every), help=f"comma separated; default: {','.join(every)}"
    )
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of mixed and flood")
    parser.add_argument("--a-second", type=float, help="jobs offered a second")
    parser.add_argument("--latency-ms", help="of the provider, for example 1-20")
    words = parser.parse_args()
    if unknown := set(words.only.split(",")) - set(every):
        parser.error(f"--only: unknown: {', '.join(sorted(unknown))}; allowed: {', '.join(every)}")
    return words


def _plans(words: argparse.Namespace) -> dict[str, Plan]:
    known = SHORT if words.short else LONG
    plans = {name: known[name] for name in words.only.split(",") if name in known}
    plans |= {name: seeded(name, plan, words.seed) for name, plan in plans.items() if name in SEEDED}
    return {name: _changed(plan, words) for name, plan in plans.items()}


def _changed(plan: Plan, words: argparse.Namespace) -> Plan:
    """With fewer calls at once than planned, half of them must do."""
    low, high = map(int, words.latency_ms.split("-")) if words.latency_ms else plan.latency_ms
    a_second = words.a_second or plan.a_second
    at_once = a_second * (low + high) / 2000
    in_flight = plan.in_flight if at_once > plan.in_flight else int(at_once / 2)
    return replace(
        plan,
        jobs=words.jobs or plan.jobs,
        a_second=a_second,
        latency_ms=(low, high),
        in_flight=min(plan.in_flight, in_flight),
    )


def _seed(plan: Plan) -> str:
    return f", seed {plan.seed}" if plan.schedule else ""


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
