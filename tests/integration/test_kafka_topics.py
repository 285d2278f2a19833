"""Topics as the services make them at start."""

from datetime import timedelta
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from shared.adapters.kafka_topics import ensure_topics
from tests.support.server import AnyKafka


@pytest.mark.parametrize(("kept", "days"), [(timedelta(days=30), 30), (timedelta(hours=24), 7), (None, 7)])
async def test_a_topic_keeps_its_records_as_long_as_they_are_needed(
    apache_kafka: AnyKafka, kept: timedelta | None, days: int
) -> None:
    topic = f"kept-{uuid4().hex}"
    needed = {topic: kept} if kept is not None else None
    await ensure_topics(
        apache_kafka.bootstrap_servers, [topic], partitions=1, replication_factor=1, results=needed
    )
    assert await _retention_ms(apache_kafka, topic) == days * 86_400_000


async def _retention_ms(kafka: AnyKafka, topic: str) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    finally:
        await admin.close()
    [resource] = answer.resources
    configs = {name: value for name, value, *_ in resource[4]}
    return int(configs["retention.ms"])
