"""Where a worker's facts go, as the settings say."""

from contextlib import AbstractAsyncContextManager

from aiokafka import AIOKafkaProducer

from shared.adapters.kafka_event_sink import KafkaEventSink, connect_kafka_event_sink
from worker.settings import WorkerSettings


def connect_events(
    settings: WorkerSettings, producer: AIOKafkaProducer
) -> AbstractAsyncContextManager[KafkaEventSink]:
    """Two topics, and the folder in which facts wait while Kafka is away."""
    return connect_kafka_event_sink(
        producer,
        metrics_topic=settings.kafka_metrics_topic,
        error_topic=settings.kafka_error_topic,
        spool_folder=settings.event_spool_folder(),
        max_bytes=settings.llm_log_file_max_bytes,
    )
