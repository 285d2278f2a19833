"""The producer that both services send with."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, OutOfOrderSequenceNumber
from aiokafka.partitioner import murmur2
from loguru import logger

from shared.adapters.kafka_refusal import refusals_explained
from shared.adapters.kafka_topics import MAX_RECORD_BYTES
from shared.kafka_security import PLAINTEXT, KafkaSecurity

_BATCH_BYTES = 64 * 1024  # of a partition, one batch at a time is on its way
_STOP_SECONDS = 5.0
_HEALTH_SECONDS = 1.0
_MOST_HASHES = 4096


_partition_hash = lru_cache(_MOST_HASHES)(murmur2)


def partition_of(key: bytes | None, all_partitions: Sequence[int], available: Sequence[int]) -> int:
    """Where Java's client and aiokafka put it; the records of one job hash their key once."""
    if key is None:
        return random.choice(available or all_partitions)  # noqa: S311
    index: int = (_partition_hash(key) & 0x7FFFFFFF) % len(all_partitions)
    return all_partitions[index]


class RenewedProducer(AIOKafkaProducer):  # type: ignore[misc] # aiokafka is untyped
    """An idempotent producer that takes a new id when a broker finds a gap in its sequence.

    A record that a broker refused for good, or lost after its acknowledgement, leaves such a gap, and
    aiokafka goes on counting: every later record of that partition would be refused until a restart.
    """

    async def send(self, *record: Any, **options: Any) -> "asyncio.Future[Any]":
        acknowledged: asyncio.Future[Any] = await super().send(*record, **options)
        acknowledged.add_done_callback(self._renew_after_gap)
        return acknowledged

    async def send_batch(self, *batch: Any, **options: Any) -> "asyncio.Future[Any]":
        acknowledged: asyncio.Future[Any] = await super().send_batch(*batch, **options)
        acknowledged.add_done_callback(self._renew_after_gap)
        return acknowledged

    async def send_and_wait(self, *record: Any, **options: Any) -> Any:
        try:
            return await super().send_and_wait(*record, **options)
        except OutOfOrderSequenceNumber:  # it was not appended, and the id is a new one by now
            return await super().send_and_wait(*record, **options)

    def _renew_after_gap(self, acknowledged: "asyncio.Future[Any]") -> None:
        if acknowledged.cancelled() or not isinstance(acknowledged.exception(), OutOfOrderSequenceNumber):
            return
        # Begin anew, in place, because the sender holds it too, and asks for an id before its next batch.
        # What is on its way keeps the old id. Nothing public does this.
        self._txn_manager.__init__(None, self._txn_manager.transaction_timeout_ms)
        logger.warning("producer_id_renewed")


Producer = TypeVar("Producer", bound=RenewedProducer)


@asynccontextmanager
async def connect_kafka_producer(
    bootstrap_servers: str, client_id: str, security: KafkaSecurity = PLAINTEXT
) -> AsyncIterator[AIOKafkaProducer]:
    """An idempotent producer, connected."""
    producer = idempotent_producer(RenewedProducer, bootstrap_servers, client_id, security)
    async with stopped(producer):
        async with refusals_explained(bootstrap_servers, security):
            await producer.start()
        yield producer


def idempotent_producer(
    kind: type[Producer], bootstrap_servers: str, client_id: str, security: KafkaSecurity
) -> Producer:
    """One that counts a record as sent when every replica in sync has it."""
    return kind(
        bootstrap_servers=bootstrap_servers,
        client_id=client_id,
        acks="all",
        enable_idempotence=True,
        partitioner=partition_of,
        linger_ms=0,  # 5 made a lone send take 6 ms instead of 0.3
        max_request_size=MAX_RECORD_BYTES,
        max_batch_size=_BATCH_BYTES,
        # Of one try, below the time that a caller waits for the acknowledgement. An idempotent producer tries
        # on for ever: a job that was refused meanwhile may still arrive, as one whose answer got lost may.
        request_timeout_ms=8_000,
        **security.client_options(),
    )


@asynccontextmanager
async def stopped(producer: AIOKafkaProducer) -> AsyncIterator[None]:
    """Stopped at the end of the block."""
    try:
        yield
    finally:
        # Without a broker, stopping would wait for records that cannot leave.
        await asyncio.wait([asyncio.ensure_future(producer.stop())], timeout=_STOP_SECONDS)


async def is_reachable(producer: AIOKafkaProducer) -> bool:
    """Whether a broker answers this producer in time; never raises."""
    try:
        async with asyncio.timeout(_HEALTH_SECONDS):
            await producer.client.fetch_all_metadata()
    except (KafkaError, TimeoutError, OSError):
        return False
    return True
