"""Answers that are being written, as Redis streams: any gateway can serve what any worker writes."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager

from shared.adapters.redis_result_store import RedisResultStore, job_key, notice
from shared.adapters.redis_script import RedisScript, store_faults
from shared.adapters.stream_followers import MOST_PIECES_AT_ONCE, STREAM_KEPT_SECONDS
from shared.domain.job import JobId
from shared.ports import Piece, Run


class RedisAnswerStreams:
    """`AnswerStreams` beside the result store, whose channel wakes who follows."""

    def __init__(self, store: RedisResultStore) -> None:
        self._batches = store.batches
        self._followers = store.followers
        self._append = RedisScript("append_pieces")

    async def append(self, run: Run, first: int, pieces: Sequence[bytes]) -> bool:
        kept_ms = round(STREAM_KEPT_SECONDS * 1000)
        arguments = [run.token, first, kept_ms, notice(run.id), *pieces]
        return bool(await self._append.run(self._batches, [job_key(run.id), _key(run.id)], arguments))

    async def read(self, job_id: JobId, after: int) -> Sequence[Piece]:
        with store_faults():
            entries = await self._batches.call(
                "XRANGE", _key(job_id), f"({after}", "+", "COUNT", MOST_PIECES_AT_ONCE
            )
        return [Piece(int(entry_id.partition(b"-")[0]), fields[-1]) for entry_id, fields in entries]

    def follow(self, job_id: JobId) -> AbstractContextManager[asyncio.Event]:
        return self._followers.open(job_id)


def _key(job_id: JobId) -> str:
    return f"llm:stream:{job_id.owner}:{job_id.request_id}"
