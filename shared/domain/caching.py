"""Which answers may stand for others, and what such an answer looks like."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from shared.domain.errors import ErrorCode, job_error
from shared.domain.job import Job
from shared.domain.result import Failed, Succeeded

CacheSetting = Literal["off", "deterministic", "all"]
CACHE_MISS = job_error(
    ErrorCode.CACHE_MISS, "cache: no answer to this is kept, and mode only wants no call", field="cache"
)
_WHOLE = frozenset({"stop", "tool_calls", "function_call"})


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """The operator's setting; a request may ask for less."""

    setting: CacheSetting
    ttl_seconds: int

    def covers(self, job: Job) -> bool:
        """Whether another answer may stand for the job's, or its for others."""
        if self.setting == "off" or (job.cache is not None and job.cache.mode == "bypass"):
            return False
        return self.setting == "all" or job.parameters.temperature == 0

    def reads(self, job: Job) -> bool:
        """A refresh makes a new answer for those who come after it."""
        return self.covers(job) and (job.cache is None or job.cache.mode != "refresh")

    def ttl_of(self, job: Job) -> int:
        """Seconds that its answer is kept for others."""
        asked = job.cache.ttl_seconds if job.cache is not None else None
        return asked if asked is not None else self.ttl_seconds


def must_be_cached(job: Job) -> bool:
    """Whether the job wants no call at all."""
    return job.cache is not None and job.cache.mode == "only"


def is_complete(result: Succeeded | Failed) -> bool:
    """Whether it may be kept for others: every choice is whole, and the right model said it."""
    if not isinstance(result, Succeeded) or result.is_fallback:
        return False
    choices = (result.provider_answer or {}).get("choices") or [{"finish_reason": result.finish_reason}]
    return all(choice.get("finish_reason") in _WHOLE for choice in choices)


def shared_answer(known: Succeeded, job: Job) -> Succeeded:
    """The answer of another job as the job's own: it cost nothing."""
    return known.model_copy(update={**_own(job), "cost_usd": 0.0, "from_cache": True})


def shared_failure(known: Failed, job: Job) -> Failed:
    """How the call ended that the job waited for."""
    return known.model_copy(update=_own(job))


def _own(job: Job) -> dict[str, object]:
    now = datetime.now(UTC)
    waited_ms = round(max(0.0, (now - job.created_at).total_seconds() * 1000), 3)
    return {
        "request_id": job.id.request_id,
        "completed_at": now,
        "queue_ms": waited_ms,
        "total_ms": waited_ms,
        "retries": None,
        "llm_latency_ms": 0.0,
        "attempts": 0,
        "retry_count": 0,
        "rate_limited": False,
        "possible_duplicate_charge": False,
        "cost_usd": None,
        "metadata": job.metadata,
    }
