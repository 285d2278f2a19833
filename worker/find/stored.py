"""What the store holds of an id, read as it stands: nothing there changes."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from redis.asyncio import Redis

from shared.adapters.redis_cluster_batches import AnyBatches, RedisClusterBatches
from shared.adapters.redis_connections import batches_over, connect_redis
from shared.adapters.redis_result_store import job_key
from shared.domain.job import DEFAULT_OWNER, JobId
from shared.domain.result import Failed, Succeeded, load_result
from shared.domain.timestamps import rfc3339

_TIMEOUT_SECONDS = 5.0
_KEYS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class StoredJob:
    """One job in Redis."""

    job_id: JobId
    facts: dict[str, Any]
    asked_at: datetime | None = None
    ended_at: datetime | None = None


async def stored_jobs(redis_url: str, request_id: str, owner: str | None) -> list[StoredJob]:
    """Of one owner, or of everybody who has that id."""
    async with connect_redis(redis_url, max_connections=2, timeout_seconds=_TIMEOUT_SECONDS) as (redis, _):
        batches = batches_over(redis)
        try:
            owners = [owner] if owner is not None else [DEFAULT_OWNER]
            found = await _of(batches, request_id, owners)
            if found or owner is not None:
                return found
            return await _of(batches, request_id, await _owners(redis, request_id))
        finally:
            await batches.aclose()


async def _owners(redis: Redis | RedisClusterBatches, request_id: str) -> list[str]:
    """With auth on, each client has ids of its own."""
    masters = redis.masters if isinstance(redis, RedisClusterBatches) else [redis]
    pattern = f"llm:*job:*:{request_id}"
    keys = [key for master in masters async for key in master.scan_iter(match=pattern, count=_KEYS_AT_ONCE)]
    return sorted(key.decode().split(":")[-2] for key in keys)


async def _of(batches: AnyBatches, request_id: str, owners: Iterable[str]) -> list[StoredJob]:
    jobs = []
    for owner in owners:
        job_id = JobId(owner, request_id)
        held: dict[bytes, bytes] = await batches.call("HGETALL", job_key(job_id))
        if held:
            jobs.append(_stored(job_id, held, await batches.call("PTTL", job_key(job_id))))
    return jobs


def _stored(job_id: JobId, held: dict[bytes, bytes], kept_ms: int) -> StoredJob:
    facts: dict[str, Any] = {
        "status": held.get(b"st", b"?").decode(),
        "kept_until": rfc3339(datetime.now(UTC) + timedelta(milliseconds=kept_ms)) if kept_ms > 0 else None,
        "interrupted_runs": int(held.get(b"runs", 0)),
        "lease_until": rfc3339(datetime.fromtimestamp(int(held[b"lse"]) / 1000, UTC))
        if b"lse" in held
        else None,
        "is_cancelled": b"can" in held,
    }
    if b"res" not in held:
        return StoredJob(job_id, facts)
    result = load_result(held[b"res"])
    ended_at = result.completed_at
    asked_at = ended_at - timedelta(milliseconds=result.total_ms)
    return StoredJob(job_id, facts | _result_facts(result), asked_at, ended_at)


def _result_facts(result: Succeeded | Failed) -> dict[str, Any]:
    return {
        "ended": rfc3339(result.completed_at),
        "model": result.model,
        "attempts": result.attempts,
        "error_code": result.error.error_code.value if isinstance(result, Failed) else None,
        "cached": isinstance(result, Succeeded) and result.from_cache is True,
        "possible_duplicate_charge": result.possible_duplicate_charge,
        "cost_usd": result.cost_usd,
    }
