"""Call sharing for tests of something else."""

from shared.adapters.memory_response_cache import MemoryResponseCache
from shared.domain.caching import CachePolicy
from worker.call_sharing import CallSharing


def no_sharing() -> CallSharing:
    return CallSharing(MemoryResponseCache(1), CachePolicy("off", 1))
