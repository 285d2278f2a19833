"""Answers that are there before anybody is asked."""

from loguru import logger

from gateway.metrics import CACHE_LOOKUPS
from shared.domain.caching import CachePolicy, shared_answer
from shared.domain.job import Job
from shared.domain.result import Succeeded
from shared.ports import ResponseCache, StoreUnavailable


class CachedAnswers:
    """The response cache as a gateway reads it; workers fill it."""

    def __init__(self, cache: ResponseCache, policy: CachePolicy) -> None:
        self._cache = cache
        self._policy = policy

    async def find(self, job: Job) -> Succeeded | None:
        """The job's answer, made of another's."""
        if not self._policy.reads(job):
            return None
        try:
            known = await self._cache.find(job.id.owner, job.fingerprint)
        except StoreUnavailable as fault:
            logger.bind(fault=str(fault)).warning("response_cache_unavailable")
            return None
        if known is None:
            CACHE_LOOKUPS.labels("miss").inc()  # a hit counts when it became the job's answer
            return None
        return shared_answer(known, job)
