"""What the processes of a deployment take, in equal intervals."""

import asyncio
from collections import defaultdict
from contextlib import suppress

import psutil

from tests.chaos.deployment import Deployment

_SAMPLE_SECONDS = 1.0
_MIB = 1 << 20


async def watch_memory(deployment: Deployment, rss_mib: defaultdict[str, list[float]]) -> None:
    """Add a sample of every process that stands, until cancelled."""
    while True:
        for process in (*deployment.standing_gateways, *deployment.standing_workers):
            with suppress(psutil.NoSuchProcess):
                rss_mib[process.name].append(psutil.Process(process.child.pid).memory_info().rss / _MIB)
        await asyncio.sleep(_SAMPLE_SECONDS)
