"""What FastStream says of its consumer, as lines of ours: it tries for ever, but not in silence."""

import logging
from collections.abc import Mapping
from typing import Any

from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError
from loguru import logger

from shared.adapters.kafka_refusal import KafkaRefused
from shared.adapters.redis_refusal import RedisRefused
from shared.fault_text import describe


class ConsumerFaults:
    """Faults alone; FastStream's `LoggerProto`."""

    def log(
        self,
        level: int,
        msg: Any,
        /,
        *,
        exc_info: Any = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        if level >= logging.ERROR and isinstance(exc_info, Exception):
            logger.bind(fault=consumer_fault(exc_info)).error("records_not_read")


def consumer_fault(fault: BaseException) -> str:
    """In a few words; of a right that is missing, which one and where."""
    match fault:
        case TopicAuthorizationFailedError():
            return f"Kafka gives no READ on topic {_subject(fault)}"
        case GroupAuthorizationFailedError():
            return f"Kafka gives no READ on group {_subject(fault)}"
        case KafkaRefused() | RedisRefused():
            return str(fault)
        case _:
            return describe(fault)


def _subject(fault: BaseException) -> str:
    return str(fault.args[0]) if fault.args else "?"
