"""The topics, made at start if they are missing."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from datetime import timedelta

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)
from loguru import logger

from shared.adapters.kafka_refusal import KafkaRefused, find_refusal
from shared.adapters.kafka_rights import Rights, expect_existing, expect_rights
from shared.kafka_security import PLAINTEXT, KafkaSecurity

_RETRY_SECONDS = 1.0
_TRY_SECONDS = 10.0
_LEAST_KEPT = timedelta(days=7)
MAX_RECORD_BYTES = 4 * 1024 * 1024
RESULT_PARTITIONS = 3
"""No group shares them, and every one that a produce request names costs more than the record in it."""


async def ensure_topics(
    bootstrap_servers: str,
    topics: Iterable[str],
    *,
    partitions: int,
    replication_factor: int,
    results: Mapping[str, timedelta] | None = None,
    patience_seconds: float = 60.0,
    security: KafkaSecurity = PLAINTEXT,
    rights: Rights | None = None,
) -> None:
    """Create each topic unless it exists; an existing one keeps its partitions.

    `results`: topics of results, which have `RESULT_PARTITIONS` and are needed for so long; none is kept
    shorter than Kafka's usual 7 days.
    A broker that is not up yet is waited for; after `patience_seconds` its error is raised. One that refuses
    us, or gives less than `rights`, is `KafkaRefused` at once.
    """
    results = results or {}
    wanted = [
        NewTopic(
            name,
            RESULT_PARTITIONS if name in results else partitions,
            replication_factor,
            topic_configs=_configs(results.get(name)),
        )
        for name in topics
    ]
    give_up_at = time.monotonic() + patience_seconds
    while True:
        try:
            # A new client each time: one that knows a dead controller asks it again and again.
            async with asyncio.timeout(_TRY_SECONDS):
                await _create(bootstrap_servers, wanted, security)
                if rights:
                    await expect_rights(bootstrap_servers, security, rights)
        except (KafkaError, TimeoutError) as fault:
            why = await _reason(fault, bootstrap_servers, security)
            if time.monotonic() > give_up_at or not getattr(fault, "retriable", True):
                if why is not None:
                    raise KafkaRefused(f"Kafka at {bootstrap_servers}: {why}") from fault
                raise
            told = why or type(fault).__name__
            logger.bind(brokers=bootstrap_servers, fault=told).warning("kafka_not_ready")
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            return


async def _reason(fault: Exception, bootstrap_servers: str, security: KafkaSecurity) -> str | None:
    if not isinstance(fault, KafkaConnectionError | TimeoutError):
        return None
    return await find_refusal(bootstrap_servers, security)


def _configs(kept: timedelta | None) -> dict[str, str]:
    configs = {"max.message.bytes": str(MAX_RECORD_BYTES)}
    if kept is not None:
        configs["retention.ms"] = str(round(max(kept, _LEAST_KEPT).total_seconds() * 1000))
    return configs


async def _create(bootstrap_servers: str, topics: list[NewTopic], security: KafkaSecurity) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, **security.client_options())
    try:
        await admin.start()
        response = await admin.create_topics(topics)
        errors = {name: for_code(code) for name, code, *_ in response.topic_errors}
        forbidden = [name for name, error in errors.items() if error is TopicAuthorizationFailedError]
        for name, error in errors.items():
            if error.errno not in (0, TopicAlreadyExistsError.errno) and name not in forbidden:
                raise error(f"cannot create topic {name}")
        if forbidden:
            await expect_existing(bootstrap_servers, security, forbidden)
    finally:
        await admin.close()
