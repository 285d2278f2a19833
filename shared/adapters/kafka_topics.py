"""The topics, made at start if they are missing."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from datetime import timedelta

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from loguru import logger

_RETRY_SECONDS = 1.0
_TRY_SECONDS = 10.0
_LEAST_KEPT = timedelta(days=7)
MAX_RECORD_BYTES = 4 * 1024 * 1024


async def ensure_topics(
    bootstrap_servers: str,
    topics: Iterable[str],
    *,
    partitions: int,
    replication_factor: int,
    kept: Mapping[str, timedelta] | None = None,
    patience_seconds: float = 60.0,
) -> None:
    """Create each topic unless it exists; an existing one keeps its partitions.

    `kept`: topics whose records are needed for so long; none is kept shorter than Kafka's usual 7 days.
    A broker that is not up yet is waited for; after `patience_seconds` its error is raised.
    """
    wanted = [
        NewTopic(name, partitions, replication_factor, topic_configs=_configs((kept or {}).get(name)))
        for name in topics
    ]
    give_up_at = time.monotonic() + patience_seconds
    while True:
        try:
            # A new client each time: one that knows a dead controller asks it again and again.
            async with asyncio.timeout(_TRY_SECONDS):
                await _create(bootstrap_servers, wanted)
        except (KafkaError, TimeoutError) as fault:
            if time.monotonic() > give_up_at or not getattr(fault, "retriable", True):
                raise
            logger.bind(brokers=bootstrap_servers, fault=type(fault).__name__).warning("kafka_not_ready")
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            return


def _configs(kept: timedelta | None) -> dict[str, str]:
    configs = {"max.message.bytes": str(MAX_RECORD_BYTES)}
    if kept is not None:
        configs["retention.ms"] = str(round(max(kept, _LEAST_KEPT).total_seconds() * 1000))
    return configs


async def _create(bootstrap_servers: str, topics: list[NewTopic]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    try:
        await admin.start()
        response = await admin.create_topics(topics)
        for name, code, *_ in response.topic_errors:
            _raise_unless_exists(name, for_code(code))
    finally:
        await admin.close()


def _raise_unless_exists(topic: str, error: type[KafkaError]) -> None:
    if error.errno not in (0, TopicAlreadyExistsError.errno):
        raise error(f"cannot create topic {topic}")
