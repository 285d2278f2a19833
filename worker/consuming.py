"""From the first record to the last commit."""

import asyncio

from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker
from loguru import logger

from shared.background import in_background
from shared.domain.priority import lanes_of
from worker.consumer_faults import ConsumerFaults
from worker.dispatcher import Dispatcher, Lanes, Limits, commit_in_background
from worker.kafka_broker_security import broker_security
from worker.load_report import LoadReport
from worker.settings import WorkerSettings
from worker.subscriber import RecordHandler, subscribe

_LEAVE_SECONDS = 10.0
_PATIENCE_SHARE = 0.5


async def consume(
    settings: WorkerSettings,
    dispatcher: Dispatcher,
    handler: RecordHandler,
    report: LoadReport,
    stop: asyncio.Event,
) -> None:
    """Until `stop`: then leave the group first, and finish the running calls after."""
    broker = KafkaBroker(
        settings.kafka_bootstrap_servers.split(","),  # FastStream takes a string for one server
        client_id=settings.llm_app_name,
        apply_types=False,  # the handler takes the raw record: nothing to inject
        logger=ConsumerFaults(),
        security=broker_security(settings.kafka_security()),
        graceful_timeout=_LEAVE_SECONDS,
    )
    consumers = subscribe(broker, dispatcher, handler, settings)
    try:
        await broker.connect()
        await consumers.start()
    except KafkaError:
        await asyncio.wait([asyncio.ensure_future(broker.stop())], timeout=_LEAVE_SECONDS)
        raise
    dispatcher.attach(consumers)
    logger.bind(topic=settings.kafka_request_topic, concurrency=settings.worker_concurrency).info(
        "worker_ready"
    )
    async with commit_in_background(dispatcher), in_background(report.tell_forever(consumers)):
        await stop.wait()
        logger.bind(in_flight=dispatcher.in_flight).info("worker_leaving")
        await dispatcher.leave()
        # Without a broker, leaving can hang for ever.
        await asyncio.wait([asyncio.ensure_future(broker.stop())], timeout=_LEAVE_SECONDS)
    cut_off = await dispatcher.finish(settings.worker_drain_seconds)
    logger.bind(cut_off=cut_off).info("worker_stopped")


def lanes_in(settings: WorkerSettings) -> Lanes:
    """The lanes by their topics."""
    topics = lanes_of(settings.kafka_request_topic)
    return Lanes({topic: priority for priority, topic in topics.items()}, settings.priority_weights())


def limits_in(settings: WorkerSettings) -> Limits:
    """How much at once."""
    return Limits(
        window_jobs=settings.worker_window_jobs,
        window_bytes=settings.worker_window_bytes,
        partition_span=settings.worker_partition_span,
        patience_seconds=settings.worker_max_poll_seconds * _PATIENCE_SHARE,
    )
