"""Where a planted secret is: in topics, in Redis and in texts, as it is or encoded."""

import base64
import binascii
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from aiokafka import AIOKafkaConsumer, TopicPartition
from redis import Redis

Places = dict[str, bytes]
"""What was found where."""

_READERS = {
    b"string": lambda redis, key: redis.get(key),
    b"hash": lambda redis, key: redis.hgetall(key),
    b"list": lambda redis, key: redis.lrange(key, 0, -1),
    b"set": lambda redis, key: redis.smembers(key),
    b"zset": lambda redis, key: redis.zrange(key, 0, -1, withscores=True),
    b"stream": lambda redis, key: redis.xrange(key),
}


def forms_of(secret: str) -> list[bytes]:
    """The secret, quoted for a URL, in hex, and in base64 wherever it may begin."""
    raw = secret.encode()
    shifted = (base64.b64encode(b"\0" * shift + raw)[4:-4] for shift in range(3))
    return [raw, quote(secret, safe="").encode(), binascii.hexlify(raw), *shifted]


def found(secrets: Iterable[str], places: Mapping[str, bytes]) -> list[str]:
    """Every place that holds one of them."""
    forms = [form for secret in secrets for form in forms_of(secret)]
    return [place for place, content in places.items() if any(form in content for form in forms)]


def redis_values(url: str) -> Places:
    """Every key with its value, of whatever type."""
    with Redis.from_url(url) as redis:
        return {
            f"redis {key!r}": key + b" " + repr(_READERS[redis.type(key)](redis, key)).encode()
            for key in redis.scan_iter(count=1000)
        }


async def records(bootstrap_servers: str, topics: Iterable[str]) -> Places:
    """Every record of the topics: key, value and headers."""
    consumer = AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest")
    async with consumer:
        ends = await consumer.end_offsets(list(consumer.assignment()))
        places: Places = {}
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                places |= {_place(record): _content(record) for record in batch}
        return places


def place_of(partition: TopicPartition, offset: int) -> str:
    """How `records` names a record."""
    return f"{partition.topic}/{partition.partition}/{offset}"


def _place(record: object) -> str:
    return place_of(TopicPartition(record.topic, record.partition), record.offset)  # type: ignore[attr-defined]


def _content(record: object) -> bytes:
    key, value, headers = record.key, record.value, record.headers  # type: ignore[attr-defined]
    parts = [key, value, *(part for name, content in headers for part in (name.encode(), content))]
    return b" ".join(part or b"" for part in parts)
