"""The response cache in Redis: an answer that one worker paid for serves every gateway and worker."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.adapters.memory_response_cache import END_KEPT_SECONDS
from shared.adapters.redis_cluster_batches import AnyBatches, RedisClusterBatches
from shared.adapters.redis_cluster_flight import enter_flight_apart
from shared.adapters.redis_result_store import TOTALS, job_key, slice_key
from shared.adapters.redis_script import RedisScript, store_faults
from shared.domain.result import Failed, Succeeded, dump_result, instant_ms, load_result
from shared.domain.totals import SLICES_KEPT_SECONDS, slice_of
from shared.ports import Following, Hit, Leading, Run

_INDEX = "llm:cache"
_GRACE_MS = 5_000
"""From leading to the lease of the run."""
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Entry:
    """One kept answer, for who looks at the cache."""

    owner: str
    fingerprint: str
    model: str
    size_bytes: int
    key: str


class RedisResponseCache:
    """`ResponseCache` beside the result store, whose leases say whether a leader lives."""

    def __init__(self, batches: AnyBatches, max_entries: int) -> None:
        self._batches = batches
        self._most_in_part = max(1, max_entries // len(batches.parts(_INDEX)))
        self._enter = RedisScript("enter_flight")
        self._leave = RedisScript("leave_flight")
        self._keep = RedisScript("keep_answer")

    async def find(self, owner: str, fingerprint: str) -> Succeeded | None:
        with store_faults():
            stored = await self._batches.call("HGET", _answer_key(owner, fingerprint), "res")
        return _answer(stored) if stored is not None else None

    async def enter(self, run: Run, asked_at: datetime) -> Hit | Leading | Following:
        sums = (TOTALS, slice_key(slice_of(datetime.now(UTC))))
        keys = [_answer_key(run.id.owner, run.fingerprint), _flight_key(run)]
        arguments = [run.token, instant_ms(asked_at), _GRACE_MS, SLICES_KEPT_SECONDS]
        if isinstance(self._batches, RedisClusterBatches):
            reply = await enter_flight_apart(self._batches, [*keys, *sums], arguments, job_key(run.id))
        else:
            reply = await self._enter.run(self._batches, [*keys, job_key(run.id), *sums], arguments)
        match reply[0]:
            case b"hit":
                return Hit(load_result(reply[1]))
            case b"following":
                return Following()
            case _:
                return Leading()

    async def leave(self, run: Run, end: Succeeded | Failed | None) -> None:
        told = (dump_result(end), instant_ms(end.completed_at)) if end is not None else ("", 0)
        arguments = [run.token, *told, round(END_KEPT_SECONDS * 1000)]
        await self._leave.run(self._batches, [_flight_key(run)], arguments)

    async def keep(self, run: Run, result: Succeeded, ttl_seconds: int) -> None:
        keys = [_INDEX, _answer_key(run.id.owner, run.fingerprint)]
        arguments = [dump_result(result), result.model, ttl_seconds * 1000, self._most_in_part]
        await self._keep.run(self._batches, keys, arguments)

    async def entries(self) -> AsyncIterator[Entry]:
        """Everything that is kept now."""
        for part in self._batches.parts(_INDEX):
            async for entry in self._entries_of(part):
                yield entry

    async def _entries_of(self, index: str) -> AsyncIterator[Entry]:
        cursor: Any = 0
        while True:
            with store_faults():
                cursor, members = await self._batches.call("ZSCAN", index, cursor, "COUNT", _AT_ONCE)
            for entry in await asyncio.gather(*(self._entry(key.decode()) for key in members[::2])):
                if entry is not None:
                    yield entry
            if not int(cursor):
                return

    async def forget(self, entry: Entry) -> None:
        with store_faults():
            await asyncio.gather(
                self._batches.call("DEL", entry.key),
                *(self._batches.call("ZREM", part, entry.key) for part in self._batches.parts(_INDEX)),
            )

    async def counts(self) -> tuple[int, int]:
        """Hits and misses since the store began."""
        with store_faults():
            told = await asyncio.gather(
                *(
                    self._batches.call("HMGET", part, "cache_hits", "cache_misses")
                    for part in self._batches.parts(TOTALS)
                )
            )
        hits, misses = (sum(int(count or 0) for count in counts) for counts in zip(*told, strict=True))
        return hits, misses

    async def _entry(self, key: str) -> Entry | None:
        with store_faults():
            model, size_bytes = await asyncio.gather(
                self._batches.call("HGET", key, "model"), self._batches.call("HSTRLEN", key, "res")
            )
        if model is None:
            return None  # its time was over
        *_, owner, fingerprint = key.split(":")
        return Entry(owner, fingerprint, model.decode(), size_bytes, key)


def _answer(stored: bytes) -> Succeeded | None:
    result = load_result(stored)
    return result if isinstance(result, Succeeded) else None


def _answer_key(owner: str, fingerprint: str) -> str:
    return f"{_INDEX}:{owner}:{fingerprint}"


def _flight_key(run: Run) -> str:
    return f"llm:flight:{run.id.owner}:{run.fingerprint}"
