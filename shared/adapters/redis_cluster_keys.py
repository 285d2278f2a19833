"""Which keys of a Redis Cluster are in one slot: each job's with a share of the sums, each question's too.

The names are those of a single Redis with a tag behind `llm:`. A script counts in the sums of its own shard,
so whatever it does stays one atomic step; who reads the sums adds up the shards.
"""

from functools import cache

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

SHARDS = 16
"""Also the most masters that share the work; for ever, because jobs are found by it."""
_BY_NAME = frozenset({"job", "gone", "stream", "cache", "flight"})
_SHARED = frozenset({"totals", "sums", "cache", "failures"})


@cache
def tags() -> tuple[str, ...]:
    """Numbers whose slots are spread evenly, so that masters with as many slots get as many shards."""
    width = REDIS_CLUSTER_HASH_SLOTS // SHARDS
    found: dict[int, str] = {}
    number = 0
    while len(found) < SHARDS:
        found.setdefault(key_slot(f"{number}".encode()) // width, f"{number}")
        number += 1
    return tuple(found[shard] for shard in range(SHARDS))


def tagged(keys: tuple[str, ...]) -> tuple[str, ...]:
    """The keys of one command, in one slot."""
    tag = next(filter(None, map(_own_tag, keys)), None) or tags()[0]
    return tuple(_with(key, tag) if _kind(key) in _BY_NAME | _SHARED else key for key in keys)


def parts(key: str) -> list[str]:
    """A sum or an index in every shard."""
    return [_with(key, tag) for tag in tags()]


def _own_tag(key: str) -> str | None:
    name = key.split(":", 2)
    if len(name) < 3 or name[1] not in _BY_NAME:  # noqa: PLR2004
        return None
    return tags()[key_slot(name[2].encode()) % SHARDS]


def _kind(key: str) -> str:
    return key.split(":", 2)[1]


def _with(key: str, tag: str) -> str:
    return f"llm:{{{tag}}}:{key.removeprefix('llm:')}"
