"""A replica that says once a second how it is, and goodbye when it leaves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

from loguru import logger

from shared.background import in_background
from shared.domain.replica import ReplicaReport
from shared.ports import Replicas, StoreUnavailable

_TELL_SECONDS = 1.0
_GOODBYE_SECONDS = 1.0


@asynccontextmanager
async def told_of(replicas: Replicas, report: Callable[[], ReplicaReport]) -> AsyncIterator[None]:
    """While the block runs, others see what `report` says."""
    replica = uuid4().hex
    try:
        async with in_background(_tell_forever(replicas, replica, report)):
            yield
    finally:
        with suppress(StoreUnavailable, TimeoutError):  # it is forgotten by itself
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await replicas.leave(replica)


async def _tell_forever(replicas: Replicas, replica: str, report: Callable[[], ReplicaReport]) -> None:
    while True:
        try:
            await replicas.tell(replica, report())
        except StoreUnavailable as fault:
            logger.bind(fault=str(fault)).debug("replica_not_told")
        except Exception:
            logger.exception("replica_telling_crashed")
        await asyncio.sleep(_TELL_SECONDS)
