"""`python -m worker.topics`: make the topics that are missing; every start of a service does the same.

Reads brokers and topics from the environment and `.env` as the worker does, and needs no provider key.
"""

import asyncio
import logging

from aiokafka.errors import KafkaError
from loguru import logger

from shared.adapters.kafka_topics import ensure_topics
from shared.domain.priority import lanes_of
from shared.fault_text import describe
from shared.settings import load_settings
from shared.settings_check import end_if_checking
from shared.telemetry.logging import configure_logging
from worker.settings import WorkerSettings


async def ensure_all_topics(settings: WorkerSettings) -> list[str]:
    """Their names; one that exists is left as it is."""
    requests = list(lanes_of(settings.kafka_request_topic).values())
    names = [
        *requests,
        settings.kafka_result_topic,
        settings.kafka_metrics_topic,
        settings.kafka_error_topic,
        settings.kafka_dead_letter_topic,
    ]
    await ensure_topics(
        settings.kafka_bootstrap_servers,
        names,
        partitions=settings.kafka_request_partitions,
        replication_factor=settings.kafka_replication_factor,
        results={settings.kafka_result_topic: settings.retention()},  # a copy as long as the result
        security=settings.kafka_security(),
        rights={
            **dict.fromkeys(requests, ("READ",)),
            settings.kafka_result_topic: ("READ", "WRITE"),
            settings.kafka_metrics_topic: ("WRITE",),
            settings.kafka_error_topic: ("WRITE",),
            settings.kafka_dead_letter_topic: ("WRITE",),
        },
    )
    return names


def main() -> None:
    """Make them, and say so in one line."""
    end_if_checking(_settings)
    settings = _settings()
    configure_logging("topics", settings.llm_log_level, is_debug=settings.llm_debug)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it says, our one line says
    try:
        names = asyncio.run(ensure_all_topics(settings))
    except (KafkaError, OSError) as fault:
        servers = settings.kafka_bootstrap_servers
        raise SystemExit(f"Kafka at {servers}: {describe(fault)}") from None
    logger.bind(topics=names).info("topics_exist")


def _settings() -> WorkerSettings:
    return load_settings(WorkerSettings)


if __name__ == "__main__":
    main()
