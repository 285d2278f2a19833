"""The short form: a few hundred cases, always the same ones. The long form is `python -m tests.fuzz`."""

from pathlib import Path

import pytest

from tests.conftest import missing
from tests.fuzz.campaign import fuzz_topic, fuzz_web
from tests.support.availability import Unavailable
from tests.support.kafka_brokers import find_apache_kafka
from tests.support.provider_process import ScriptedProvider
from tests.support.running import RunningServers
from tests.support.server import AnyKafka, AnyRedis

pytestmark = pytest.mark.campaign


@pytest.fixture
def real_kafka(servers: RunningServers) -> AnyKafka:
    """What a broker lets through is told by the real one only."""
    try:
        return servers.get(find_apache_kafka)
    except Unavailable as reason:
        missing(str(reason))


def test_every_request_has_an_answer_that_the_document_allows(
    provider: ScriptedProvider, tmp_path: Path
) -> None:
    for report in fuzz_web(provider, tmp_path, documented=200, bodies=200, seed=1):
        assert report.cases == 200
        assert not report.count, report.story


def test_every_record_is_answered_or_kept_and_no_partition_stands_still(
    real_kafka: AnyKafka, any_redis: AnyRedis, provider: ScriptedProvider, tmp_path: Path
) -> None:
    report = fuzz_topic(real_kafka, any_redis, provider, tmp_path, records=200, seed=1)
    assert report.cases == 200
    assert not report.count, report.story
