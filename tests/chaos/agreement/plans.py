"""The campaigns of this folder, long and short, and how each is run."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from tests.chaos.agreement.campaign import AgreementPlan, Say, run_agreement
from tests.chaos.agreement.judging_events import judge_events
from tests.chaos.agreement.kafka_away import KafkaAwayPlan, run_kafka_away
from tests.chaos.agreement.report import Verdict, judge_agreement
from tests.chaos.deployment import Surroundings
from tests.support.apache_kafka import ApacheKafka
from tests.support.kafka_brokers import find_kafka_distribution
from tests.support.provider_process import ScriptedProvider
from tests.support.redis_process import RedisBinary, RedisServer
from tests.support.server import AnyKafka

AnyPlan = AgreementPlan | KafkaAwayPlan

_AWAY = KafkaAwayPlan("Kafka away for 60 s", is_distributed=True, away="killed", away_seconds=60)

LONG: Mapping[str, tuple[AnyPlan, ...]] = {
    "agreement": (AgreementPlan("10,000 jobs, gateways rolled", jobs=10_000, a_second=100, rolls=4),),
    "agreement-kill": (
        AgreementPlan("10,000 jobs, workers kill -9", jobs=10_000, a_second=100, rolls=1, kills=3),
    ),
    "events-kafka-60s": tuple(
        replace(_AWAY, name=f"Kafka {away} for 60 s, {mode}", is_distributed=mode == "distributed", away=away)
        for mode in ("distributed", "one process")
        for away in ("killed", "stopped")
    ),
}


def _shortened(plan: AnyPlan) -> AnyPlan:
    if isinstance(plan, KafkaAwayPlan):
        return replace(plan, name=plan.name.replace("60 s", "5 s"), away_seconds=5)
    return replace(plan, name=plan.name.replace("10,000", "1,500"), jobs=1_500, rolls=1)


SHORT = {name: tuple(map(_shortened, plans)) for name, plans in LONG.items()}


def run(
    plans: Sequence[AnyPlan], kafka: AnyKafka, binary: RedisBinary, folder: Path, say: Say
) -> list[Verdict]:
    """Each on a Redis of its own, and on a Kafka of its own if that is to go away."""
    return [_run(plan, kafka, binary, folder / f"{number}", say) for number, plan in enumerate(plans, 1)]


def _run(plan: AnyPlan, kafka: AnyKafka, binary: RedisBinary, folder: Path, say: Say) -> Verdict:
    say(f"\n{plan.name}: {plan.jobs} jobs, {plan.a_second:g}/s")
    with _kafka_of(plan, kafka) as own_kafka, RedisServer(binary) as redis, ScriptedProvider() as provider:
        surroundings = Surroundings(own_kafka, redis, provider)
        folder.mkdir(parents=True, exist_ok=True)
        if isinstance(plan, KafkaAwayPlan):
            return judge_events(plan.name, asyncio.run(run_kafka_away(plan, surroundings, folder, say)))
        return judge_agreement(plan.name, asyncio.run(run_agreement(plan, surroundings, folder, say)))


def _kafka_of(plan: AnyPlan, shared: AnyKafka) -> AbstractContextManager[AnyKafka]:
    return ApacheKafka(find_kafka_distribution()) if isinstance(plan, KafkaAwayPlan) else nullcontext(shared)
