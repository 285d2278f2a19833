"""What the fuzzing found, one test each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import httpx
import pytest

from shared.adapters.kafka_producer import connect_kafka_producer
from shared.adapters.kafka_topics import ensure_topics
from shared.domain.errors import ErrorCode, InvalidRequest, job_error
from shared.wire import job_from_record
from tests.fuzz.json_texts import KEY_CANARY, MARK
from tests.fuzz.records import valid_value
from tests.support.jobs import DEFAULTS
from tests.support.provider_process import ScriptedProvider
from tests.support.running import RunningServers
from tests.support.server import AnyKafka
from tests.support.service_processes import Service, one_process
from worker.dead_letters import KafkaDeadLetters

_ID = "3f333df6-90a4-4fda-8dd3-9485d27cee36"


def test_a_key_in_schema_is_not_repeated() -> None:
    with pytest.raises(InvalidRequest) as refused:
        job_from_record(b'{"schema":"%s"}' % KEY_CANARY.encode(), [], 0, DEFAULTS)
    assert MARK not in refused.value.error.message


@pytest.mark.parametrize("timestamp_ms", [2**62, 253_402_300_800_000, 253_402_300_799_999])
def test_a_record_time_beyond_the_calendar_is_now(timestamp_ms: int) -> None:
    job = job_from_record(valid_value(_ID), [], timestamp_ms, DEFAULTS)
    assert job.created_at <= datetime.now(UTC)


@pytest.fixture(scope="module")
def service(servers: RunningServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    provider = servers.get(ScriptedProvider)
    folder = tmp_path_factory.mktemp("service")
    with one_process(folder, REDIS_ENABLED="false", OPENAI_BASE_URL=provider.base_url) as running:
        yield running


def test_a_405_names_the_methods_that_are_allowed(service: Service) -> None:
    assert httpx.get(f"{service.url}/invoke").headers.get("allow") == "POST"


@pytest.mark.parametrize("path", ["/result", "/nowhere"])
def test_a_key_in_the_path_is_not_repeated(service: Service, path: str) -> None:
    assert MARK not in httpx.get(f"{service.url}{path}/{KEY_CANARY}").text


@dataclass
class _Record:
    topic: str = "llm-requests"
    partition: int = 0
    offset: int = 0
    timestamp: int = 0
    key: bytes | None = None
    value: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


async def test_a_record_that_is_null_all_over_can_be_buried(apache_kafka: AnyKafka) -> None:
    topic = f"dead-{uuid4().hex}"
    await ensure_topics(apache_kafka.bootstrap_servers, [topic], partitions=1, replication_factor=1)
    async with connect_kafka_producer(apache_kafka.bootstrap_servers, "fuzz") as producer:
        await KafkaDeadLetters(producer, topic).bury(_Record(), job_error(ErrorCode.INVALID_JSON, "null"))
