"""A few hundred jobs of every kind, and Kafka away for some seconds: every source tells the same."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.agreement.campaign import AgreementPlan, run_agreement
from tests.chaos.agreement.judging_events import judge_events
from tests.chaos.agreement.kafka_away import Away, KafkaAwayPlan, run_kafka_away
from tests.chaos.agreement.report import judge_agreement
from tests.chaos.deployment import Surroundings
from tests.conftest import missing
from tests.support.apache_kafka import ApacheKafka
from tests.support.availability import Unavailable
from tests.support.kafka_brokers import find_kafka_distribution
from tests.support.provider_process import ScriptedProvider
from tests.support.redis_process import RedisServer
from tests.support.redis_servers import any_binary
from tests.support.server import AnyKafka

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(300)]


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """Its sums begin at nothing."""
    with RedisServer(any_binary()) as redis:
        yield redis


@pytest.fixture
def mortal_kafka() -> Iterator[ApacheKafka]:
    """To kill."""
    try:
        kafka = ApacheKafka(find_kafka_distribution())
    except Unavailable as reason:
        missing(str(reason))
    with kafka:
        yield kafka


async def test_every_source_tells_the_same(
    apache_kafka: AnyKafka, own_redis: RedisServer, provider: ScriptedProvider, log_folder: Path
) -> None:
    plan = AgreementPlan("in short", jobs=300, a_second=100, rolls=1)
    surroundings = Surroundings(apache_kafka, own_redis, provider)
    verdict = judge_agreement(plan.name, await run_agreement(plan, surroundings, log_folder))

    print("\n".join(verdict.lines))
    assert not verdict.violations


@pytest.mark.parametrize(
    ("is_distributed", "away", "away_seconds"),
    [(True, "killed", 5), (False, "stopped", 12)],  # a broker that only stopped is waited for 10 s
)
async def test_no_fact_is_lost_or_doubled_while_kafka_is_away(
    is_distributed: bool,
    away: Away,
    away_seconds: float,
    mortal_kafka: ApacheKafka,
    own_redis: RedisServer,
    provider: ScriptedProvider,
    log_folder: Path,
) -> None:
    plan = KafkaAwayPlan("in short", is_distributed, away, away_seconds, a_second=15, latency_ms=(100, 3_000))
    surroundings = Surroundings(mortal_kafka, own_redis, provider)
    verdict = judge_events(plan.name, await run_kafka_away(plan, surroundings, log_folder))

    print("\n".join(verdict.lines))
    assert not verdict.violations
