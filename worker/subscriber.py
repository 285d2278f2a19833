"""The FastStream subscription: bytes in, dead letters out."""

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from aiokafka import ConsumerRebalanceListener, TopicPartition
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from loguru import logger

from shared.domain.errors import ErrorCode, InvalidRequest, JobError, job_error
from shared.domain.job import Job, ModelDefaults, RecordPosition
from shared.domain.priority import lanes_of
from shared.ports import EventSink
from shared.wire import job_from_record
from worker.dead_letters import DeadLettersUnavailable, KafkaDeadLetters
from worker.dispatcher import ONE_LANE, Dispatcher, Lanes
from worker.job_events import failure_event
from worker.keys.caller_keys import CallerKeys
from worker.lane_consumers import LaneConsumers
from worker.metrics import DUPLICATE_RECORDS
from worker.ports import Record
from worker.service import Done, LookAgain, Poisoned, Processor
from worker.settings import WorkerSettings

_BURY_AGAIN_SECONDS = 1.0
_HEARTBEAT_MS = 500
"""Also how soon the others hear that a worker leaves; the usual 3 s would keep its jobs waiting."""
_CLOCK_SKEW_MS = 5_000.0
"""Between a producer, whose time a record carries, and us."""


class RecordHandler:
    """One record to its end."""

    def __init__(
        self,
        processor: Processor,
        dead_letters: KafkaDeadLetters,
        events: EventSink,
        defaults: ModelDefaults,
        caller_keys: CallerKeys,
        *,
        lanes: Lanes = ONE_LANE,
    ) -> None:
        self._processor = processor
        self._dead_letters = dead_letters
        self._events = events
        self._defaults = defaults
        self._caller_keys = caller_keys
        self._lanes = lanes
        self._assigned_at_ms = _now_ms()

    def note_assignment(self) -> None:
        """Records older than this may have been another worker's."""
        self._assigned_at_ms = _now_ms()

    async def handle(self, record: Record) -> float | None:
        """None when the record is finished, else the seconds after which to look again."""
        try:
            job = self._job(record)
            may_have_run = record.timestamp < self._assigned_at_ms + _CLOCK_SKEW_MS
            outcome = await self._processor.process(job, may_have_run=may_have_run)
        except InvalidRequest as invalid:
            return await self._bury(record, invalid.error, invalid.request_id)
        except Exception:
            # Nothing may hold its partition for ever, a fault of ours included.
            logger.bind(partition=record.partition, offset=record.offset).exception("record_crashed")
            return await self._bury(record, _CRASHED, None)
        match outcome:
            case Done(is_duplicate):
                if is_duplicate:
                    DUPLICATE_RECORDS.inc()
                return None
            case LookAgain(seconds):
                return seconds
            case Poisoned(error):
                return await self._bury(record, error, job.id.request_id)

    def _job(self, record: Record) -> Job:
        position = RecordPosition(record.topic, record.partition, record.offset)
        job = job_from_record(record.value, record.headers, record.timestamp, self._defaults, position)
        if (priority := self._lanes.of(record.topic)) != "normal":
            job = replace(job, priority=priority)
        job = self._caller_keys.settle(job)
        if job.refusal is not None:
            _log_refusal(record, job)
        return job

    async def _bury(self, record: Record, error: JobError, request_id: str | None) -> float | None:
        try:
            await self._dead_letters.bury(record, error)
        except DeadLettersUnavailable as fault:
            logger.bind(offset=record.offset, fault=str(fault)).warning("dead_letter_waits")
            return _BURY_AGAIN_SECONDS
        logger.bind(
            request_id=request_id, reason=error.error_code, partition=record.partition, offset=record.offset
        ).warning("record_dead_lettered")
        fact = failure_event(request_id, error, 0)
        self._events.emit(replace(fact, topic=record.topic, partition=record.partition, offset=record.offset))
        return None


def _log_refusal(record: Record, job: Job) -> None:
    """Where the record stands: what is in the clear there, its owner may want to revoke."""
    logger.bind(
        request_id=job.id.request_id,
        reason=job.refusal.error_code if job.refusal is not None else None,
        partition=record.partition,
        offset=record.offset,
    ).warning("key_refused")


class _Rebalances(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka is untyped
    """What a rebalance means for the dispatcher."""

    def __init__(self, dispatcher: Dispatcher, handler: RecordHandler, topic: str) -> None:
        self._dispatcher = dispatcher
        self._handler = handler
        self._topic = topic

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._dispatcher.revoke(revoked)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._handler.note_assignment()
        logger.bind(topic=self._topic, partitions=len(list(assigned))).info("partitions_assigned")


def subscribe(
    broker: KafkaBroker, dispatcher: Dispatcher, handler: RecordHandler, settings: WorkerSettings
) -> LaneConsumers:
    """A consumer a lane, each in a group of its own."""
    topics, groups = lanes_of(settings.kafka_request_topic), lanes_of(settings.kafka_consumer_group)
    return LaneConsumers(
        {
            topic: _subscribe_lane(broker, dispatcher, handler, settings, topic=topic, group=groups[priority])
            for priority, topic in topics.items()
        }
    )


def _subscribe_lane(
    broker: KafkaBroker,
    dispatcher: Dispatcher,
    handler: RecordHandler,
    settings: WorkerSettings,
    *,
    topic: str,
    group: str,
) -> Any:
    """Hand every record of a topic to the dispatcher, raw. Each setting was a measured trap."""
    subscriber = broker.subscriber(
        topic,
        group_id=group,
        ack_policy=AckPolicy.MANUAL,  # FastStream's own ack commits positions, not the watermark
        auto_offset_reset="earliest",  # "latest" drops the backlog of a new group
        parser=_raw_message,
        decoder=_raw_record,
        listener=_Rebalances(dispatcher, handler, topic),
        session_timeout_ms=int(settings.worker_session_timeout_seconds * 1000),
        heartbeat_interval_ms=_HEARTBEAT_MS,
        max_poll_interval_ms=int(settings.worker_max_poll_seconds * 1000),
        rebalance_timeout_ms=60_000,  # it defaults to the session timeout
        max_partition_fetch_bytes=262_144,
    )

    @subscriber
    async def admit(record: Any) -> None:
        consumer: Any = subscriber.consumer
        # What was fetched with it goes FastStream's way together with it: that costs more than the rest.
        await dispatcher.admit(record, lambda most: consumer.getmany(max_records=most))

    return subscriber


async def _raw_message(record: Any) -> KafkaMessage:
    # FastStream's parser drops a record with a null or non-UTF-8 header before any handler sees it.
    return KafkaMessage(raw_message=record, body=b"", consumer=None)  # type: ignore[arg-type] # never asked


async def _raw_record(message: KafkaMessage) -> Any:
    return message.raw_message


def _now_ms() -> float:
    return time.time() * 1000


_CRASHED = job_error(ErrorCode.INTERNAL_ERROR, "A fault of ours while the record was handled")
