"""What Kafka's authorizer lets us do with topics, asked at start: a right that is missing is named there."""

from collections.abc import Mapping
from typing import Any, Literal

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.metadata import MetadataResponse_v5
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from shared.adapters.kafka_refusal import KafkaRefused
from shared.kafka_security import KafkaSecurity

Right = Literal["READ", "WRITE"]
Rights = Mapping[str, tuple[Right, ...]]

_BIT = {"READ": 1 << 3, "WRITE": 1 << 4}
_UNKNOWN = -(2**31)
_NOT_AUTHORIZED, _UNKNOWN_TOPIC = 29, 3


class _MetadataResponseV8(Response):  # type: ignore[misc] # aiokafka is untyped
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", MetadataResponse_v5.SCHEMA.fields[1]),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class _MetadataRequestV8(RequestStruct):  # type: ignore[misc] # aiokafka is untyped
    """The first version that tells rights; aiokafka's own end at 5."""

    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _MetadataResponseV8
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _RightsRequest(Request[_MetadataRequestV8]):  # type: ignore[misc] # aiokafka is untyped
    API_KEY = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_class: type[_MetadataRequestV8]) -> _MetadataRequestV8:
        # A question must not make a topic.
        return request_class(self._topics, False, False, True)


async def expect_rights(bootstrap_servers: str, security: KafkaSecurity, wanted: Rights) -> None:
    """Raises `KafkaRefused` with all that is missing; a broker that tells none is believed to give all."""
    topics = await _describe(bootstrap_servers, security, list(wanted))
    missing = [
        f"no {right} on topic {topic}"
        for topic, rights in wanted.items()
        for right in rights
        if _is_missing(topics.get(topic), right)
    ]
    if missing:
        raise KafkaRefused(f"Kafka gives {security.user} {', '.join(missing)}")


async def expect_existing(bootstrap_servers: str, security: KafkaSecurity, names: list[str]) -> None:
    """Who may not create a topic is told so whether it exists or not; somebody else made it, or has to."""
    for name, topic in (await _describe(bootstrap_servers, security, names)).items():
        if topic["error_code"] == _NOT_AUTHORIZED:
            raise KafkaRefused(f"Kafka gives {security.user} no DESCRIBE on topic {name}")
        if topic["error_code"] == _UNKNOWN_TOPIC:
            raise KafkaRefused(
                f"Kafka gives {security.user} no CREATE on topic {name}, and it does not exist"
            )


async def _describe(
    bootstrap_servers: str, security: KafkaSecurity, names: list[str]
) -> dict[str, dict[str, Any]]:
    client = AIOKafkaClient(bootstrap_servers=bootstrap_servers, **security.client_options())
    try:
        await client.bootstrap()
        return await _ask(client, names)
    finally:
        await client.close()


async def _ask(client: AIOKafkaClient, topics: list[str]) -> dict[str, dict[str, Any]]:
    try:
        reply = await client.send(client.get_random_node(), _RightsRequest(topics))
    except NotImplementedError:
        return {}
    return {topic["topic"]: topic for topic in reply.to_object()["topics"]}


def _is_missing(topic: dict[str, Any] | None, right: Right) -> bool:
    if topic is None:
        return False
    if topic["error_code"] == _NOT_AUTHORIZED:
        return True
    given = topic["authorized_operations"]
    return topic["error_code"] == 0 and given != _UNKNOWN and not given & _BIT[right]
