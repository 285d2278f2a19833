"""The result store on Redis or Valkey: one hash a job, one Lua script a step.

Every step is atomic, and repeating it after a lost reply gives the same answer.
"""

import asyncio
import itertools
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from loguru import logger
from redis.asyncio import Redis

from shared.adapters.redis_cluster_batches import RedisClusterBatches
from shared.adapters.redis_connections import batches_over, connect_redis
from shared.adapters.redis_script import REDIS_FAULTS, RedisScript, store_faults
from shared.adapters.result_watches import ResultWatches, Watch
from shared.adapters.stream_followers import StreamFollowers
from shared.background import end
from shared.domain.failed_job import MOST_KEPT, FailedJob, latest_first
from shared.domain.job import JobId
from shared.domain.result import (
    Failed,
    Succeeded,
    dump_result,
    instant_ms,
    load_result,
    passing_since_ms,
)
from shared.domain.totals import SLICES_KEPT_SECONDS, slice_of, tally
from shared.ports import (
    Begun,
    Conflicting,
    Deleted,
    Finished,
    Held,
    Pending,
    Renewed,
    Reserved,
    Run,
    StoreUnavailable,
)

_SWEEP_SECONDS = 1.0
_RECONNECT_SECONDS = 0.5
TOTALS = "llm:totals"
_LOST, _CANCELLED = 0, 2


@asynccontextmanager
async def connect_redis_result_store(
    url: str,
    *,
    max_connections: int,
    retention: timedelta,
    queue_dies_with_process: bool = False,
    timeout_seconds: float = 2.0,
) -> AsyncIterator["RedisResultStore"]:
    """A store with its notification reader running.

    `queue_dies_with_process`: jobs that another process queued and never ran may be claimed anew.
    """
    connecting = connect_redis(url, max_connections=max_connections, timeout_seconds=timeout_seconds)
    async with connecting as (client, listener):
        store = RedisResultStore(client, retention, queue_dies_with_process=queue_dies_with_process)
        tasks = [
            asyncio.create_task(store.listen_forever(listener)),
            asyncio.create_task(store.sweep_forever()),
        ]
        try:
            yield store
        finally:
            await end(*tasks)
            await store.aclose()


class RedisResultStore:
    """`ResultStore` over one Redis."""

    def __init__(
        self,
        client: Redis | RedisClusterBatches,
        retention: timedelta,
        *,
        queue_dies_with_process: bool = False,
    ) -> None:
        self.client = client
        self.batches = batches_over(client)
        self._retention = retention
        self._replica = secrets.token_hex(8)
        self._channel = f"llm:results:{self._replica}"
        self._own_claims = f"{self._replica}:" if queue_dies_with_process else ""
        self._watches = ResultWatches()
        self.followers = StreamFollowers()
        self._is_listening = True
        self._reserve = RedisScript("reserve")
        self._release = RedisScript("release")
        self._look = RedisScript("look")
        self._cancel = RedisScript("cancel")
        self._delete = RedisScript("delete")
        self._begin = RedisScript("begin")
        self._renew = RedisScript("renew")
        self._save = RedisScript("save")
        self._count = RedisScript("count")

    async def reserve(
        self, job_id: JobId, fingerprint: str, claim: str, expires_at: datetime
    ) -> Reserved | Pending | Finished | Conflicting | Deleted:
        channel = self._channel_if_watched(job_id)
        claim = f"{self._replica}:{claim}"
        arguments = [fingerprint, claim, channel, self._forgotten_at_ms(expires_at), self._own_claims]
        reply = await self._call(self._reserve, job_id, arguments)
        self._watches.arm(job_id)
        if reply[0] == b"reserved":
            return Reserved()
        return _known(reply) or Conflicting()

    async def release(self, job_id: JobId, claim: str) -> None:
        await self._call(self._release, job_id, [f"{self._replica}:{claim}"])

    async def get(self, job_id: JobId) -> Pending | Finished | Deleted | None:
        reply = await self._call(self._look, job_id, [self._channel_if_watched(job_id)], _gone_key(job_id))
        self._watches.arm(job_id)
        return _known(reply)

    async def cancel(self, job_id: JobId) -> Pending | Finished | Deleted | None:
        return _known(await self._call(self._cancel, job_id, [], _gone_key(job_id)))

    async def delete(self, job_id: JobId) -> Pending | Deleted | None:
        retention_ms = _ms(self._retention.total_seconds())
        known = _known(await self._call(self._delete, job_id, [retention_ms], _gone_key(job_id)))
        return None if isinstance(known, Finished) else known

    def watch(self, job_id: JobId) -> AbstractContextManager[Watch]:
        return self._watches.open(job_id)

    async def begin(
        self,
        run: Run,
        lease_seconds: float,
        expires_at: datetime,
        *,
        asked_at: datetime | None = None,
        needs_history: bool = False,
    ) -> Begun | Held | Finished | Conflicting | Deleted:
        forgotten_at_ms = self._forgotten_at_ms(expires_at)
        asked_at_ms = instant_ms(asked_at) if asked_at else 0
        arguments = [run.fingerprint, run.token, _ms(lease_seconds), forgotten_at_ms, asked_at_ms]
        reply = await self._call(self._begin, run.id, arguments)
        match reply[0]:
            case b"begun":
                return Begun(run, interrupted_runs=reply[1], attempts=reply[2], is_cancelled=bool(reply[3]))
            case b"held":
                return Held(reply[1] / 1000)
            case b"finished":
                return Finished(load_result(reply[1]))
            case b"deleted":
                return Deleted()
            case _:
                return Conflicting()

    async def renew(self, runs: Sequence[Run], lease_seconds: float) -> Renewed:
        lease = _ms(lease_seconds)
        renewals = (self._call(self._renew, run.id, [run.token, lease]) for run in runs)
        replies = await asyncio.gather(*renewals)
        told = list(zip(runs, replies, strict=True))
        return Renewed(
            lost=[run for run, reply in told if reply == _LOST],
            cancelled=[run for run, reply in told if reply == _CANCELLED],
        )

    async def save(self, run: Run, result: Succeeded | Failed) -> Succeeded | Failed | None:
        return await self._store(run, result, self._retention.total_seconds(), is_copy=False)

    async def restore(self, run: Run, result: Succeeded | Failed) -> Succeeded | Failed | None:
        kept_seconds = (result.completed_at + self._retention - datetime.now(UTC)).total_seconds()
        return await self._store(run, result, kept_seconds, is_copy=True) if kept_seconds > 0 else None

    async def _store(
        self, run: Run, result: Succeeded | Failed, kept_seconds: float, *, is_copy: bool
    ) -> Succeeded | Failed | None:
        arguments = [
            run.token,
            run.fingerprint,
            result.status,
            dump_result(result),
            passing_since_ms(result),
            result.attempts,
            _ms(kept_seconds),
            notice(run.id),
            "1" if is_copy else "0",
            _ms(kept_seconds + self._retention.total_seconds()),
            SLICES_KEPT_SECONDS,
            orjson.dumps(tally(result)),
        ]
        keys = [TOTALS, _gone_key(run.id), slice_key(slice_of(result.completed_at))]
        if isinstance(result, Failed):
            keys.append(_failures_key(run.id.owner))
            arguments.append(FailedJob.of(result).model_dump_json())
        reply = await self._call(self._save, run.id, arguments, *keys)
        match reply[0]:
            case b"saved":
                return result
            case b"finished":
                return load_result(reply[1])
            case _:
                return None

    async def totals(self) -> dict[str, int]:
        with store_faults():
            return await self._sums(TOTALS)

    async def slices(self, starts: Sequence[int]) -> Sequence[Mapping[str, int]]:
        with store_faults():
            return await asyncio.gather(*(self._sums(slice_key(start)) for start in starts))

    async def _sums(self, key: str) -> dict[str, int]:
        """Added up over a cluster's shards."""
        sums: Counter[str] = Counter()
        for stored in await asyncio.gather(
            *(self.batches.call("HGETALL", p) for p in self.batches.parts(key))
        ):
            sums.update({name.decode(): int(amount) for name, amount in stored.items()})
        return dict(sums)

    async def count(self, amounts: Mapping[str, int]) -> None:
        now = datetime.now(UTC)
        named = itertools.chain.from_iterable(amounts.items())
        arguments = [SLICES_KEPT_SECONDS, instant_ms(now), *named]
        await self._count.run(self.batches, [TOTALS, slice_key(slice_of(now))], arguments)

    async def failures(self, owner: str) -> Sequence[FailedJob]:
        with store_faults():
            parts = await asyncio.gather(
                *(
                    self.batches.call("LRANGE", part, 0, MOST_KEPT - 1)
                    for part in self.batches.parts(_failures_key(owner))
                )
            )
        stored = itertools.chain.from_iterable(parts)
        known = latest_first(FailedJob.model_validate_json(failure) for failure in stored)
        return known[:MOST_KEPT]  # each part keeps as many

    async def is_available(self) -> bool:
        try:
            async with asyncio.timeout(1):
                return bool(await self.client.ping())
        except REDIS_FAULTS:
            return False

    async def aclose(self) -> None:
        await self.batches.aclose()

    async def listen_forever(self, listener: Redis) -> None:
        """Resolve waits by what workers publish; survives every loss of the connection."""
        while True:
            try:
                await self._listen(listener)
            except (*REDIS_FAULTS, StoreUnavailable) as fault:
                if self._is_listening:
                    logger.bind(fault=type(fault).__name__).warning("result_channel_lost")
                self._is_listening = False
            except Exception:
                logger.exception("result_channel_crashed")
            await asyncio.sleep(_RECONNECT_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311

    async def _listen(self, listener: Redis) -> None:
        async with listener.pubsub(ignore_subscribe_messages=True) as subscription:
            await subscription.subscribe(self._channel)
            await self.sweep()
            self._is_listening = True
            while True:
                await subscription.check_health()
                for told in await subscription.connection.heard(_SWEEP_SECONDS):
                    self._deliver(told)

    async def sweep_forever(self) -> None:
        """The stored result is the truth, the message only wakes: look for results whose message got lost."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS * random.uniform(0.75, 1.25))  # noqa: S311
            try:
                await self.sweep()
            except StoreUnavailable:
                continue  # the reader says so
            except Exception:
                logger.exception("result_sweep_crashed")

    async def sweep(self) -> None:
        # Chosen before the question goes out: a watch that is armed meanwhile is for a later result.
        armed = self._watches.armed()
        with store_faults():
            results = await asyncio.gather(
                *(self.batches.call("HGET", job_key(job_id), "res") for job_id, _ in armed)
            )
        for (job_id, watch), result in zip(armed, results, strict=True):
            if result is not None:
                _resolve(watch, job_id, result)

    def _deliver(self, told: bytes) -> None:
        owner, request_id, result = told.split(b"\n", 2)
        job_id = JobId(owner.decode(), request_id.decode())
        if result:
            if job_id in self._watches:  # who stored it here knows it already
                self._watches.resolve(job_id, load_result(result))
        else:
            self.followers.wake(job_id)

    def _channel_if_watched(self, job_id: JobId) -> str:
        return self._channel if job_id in self._watches else ""

    def _forgotten_at_ms(self, expires_at: datetime) -> int:
        return _ms((expires_at + self._retention).timestamp())

    async def _call(self, script: RedisScript, job_id: JobId, arguments: list[Any], *more_keys: str) -> Any:
        return await script.run(self.batches, [job_key(job_id), *more_keys], arguments)


def _resolve(watch: Watch, job_id: JobId, stored: bytes) -> None:
    try:
        watch.resolve(load_result(stored))
    except ValueError:
        logger.bind(**job_id._asdict()).exception("result_unreadable")


def _known(reply: list[Any]) -> Pending | Finished | Deleted | None:
    match reply[0]:
        case b"pending":
            status: Any = reply[1].decode()
            return Pending(status, datetime.fromtimestamp(int(reply[2]) / 1000, UTC))
        case b"finished":
            return Finished(load_result(reply[1]))
        case b"deleted":
            return Deleted()
        case _:
            return None


def job_key(job_id: JobId) -> str:
    """Where everything about a job is."""
    return f"llm:job:{job_id.owner}:{job_id.request_id}"


def notice(job_id: JobId) -> str:
    """What the channel of who waits is told; the result follows it, if it is there."""
    return f"{job_id.owner}\n{job_id.request_id}\n"


def slice_key(start: int) -> str:
    """Where the sums of ten seconds are."""
    return f"llm:sums:{start}"


def _failures_key(owner: str) -> str:
    return f"llm:failures:{owner}"


def _gone_key(job_id: JobId) -> str:
    """Set as long again as a result is kept, so that one past its retention is not an unknown one."""
    return f"llm:gone:{job_id.owner}:{job_id.request_id}"


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
