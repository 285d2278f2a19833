"""The producer of both services against a real broker."""

from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import MessageSizeTooLargeError

from shared.adapters.kafka_producer import connect_kafka_producer
from tests.support.server import AnyKafka


async def test_a_record_refused_for_good_does_not_close_its_partition(apache_kafka: AnyKafka) -> None:
    # Given a partition that has refused a record, which leaves a gap in the producer's sequence
    topic = f"small-records-{uuid4().hex[:8]}"
    await _create_topic(apache_kafka.bootstrap_servers, topic, {"max.message.bytes": "1000"})
    async with connect_kafka_producer(apache_kafka.bootstrap_servers, "test") as producer:
        first = await producer.send_and_wait(topic, b"small")
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send_and_wait(topic, b"x" * 5000)
        # When more records follow, then they are taken, each once
        more = [await producer.send_and_wait(topic, b"small") for _ in range(3)]
        assert [record.offset for record in (first, *more)] == [0, 1, 2, 3]


async def _create_topic(bootstrap_servers: str, topic: str, settings: dict[str, str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1, topic_configs=settings)])
    finally:
        await admin.close()
