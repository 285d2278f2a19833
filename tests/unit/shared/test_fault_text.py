"""A fault is told by its class and its words, and neither twice."""

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError
from redis.exceptions import ConnectionError as RedisConnectionError

from shared.fault_text import describe


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (KafkaConnectionError("no broker"), "KafkaConnectionError: no broker"),
        (KafkaTimeoutError(), "KafkaTimeoutError"),
        (RedisConnectionError("refused"), "ConnectionError: refused"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_class_and_words_are_told_once(fault: Exception, told: str) -> None:
    assert describe(fault) == told
