"""`Cache-Control` of a request (RFC 9111): `no-cache` and `no-store` want an answer of their own."""

from dataclasses import replace

from fastapi import Request

from shared.domain.invoke_body import CacheControl
from shared.domain.job import Job

_BYPASS = frozenset({"no-cache", "no-store"})


def heed_cache_control(request: Request, job: Job) -> Job:
    """The job as its headers want it; what its body says of the cache comes second."""
    told = ",".join(request.headers.getlist("cache-control")).lower()
    if _BYPASS.isdisjoint(part.strip() for part in told.split(",")):
        return job
    return replace(job, cache=CacheControl(mode="bypass"))
