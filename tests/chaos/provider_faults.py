"""The provider misbehaves for a while. Each fault waits until the service is busy, and ends by itself."""

import asyncio
from dataclasses import replace
from typing import Any

from tests.chaos.evidence import Strike
from tests.chaos.scene import Scene, now

_FAULT_SECONDS = 10.0
_AT_ONCE = {"latency_ms": 1}


async def storm(scene: Scene) -> Strike:
    """429 for every call, one in three with `Retry-After`."""
    told = {"status": 429, "retry_after": "2", "rate": 1 / 3, **_AT_ONCE}
    return await _while_it_fails(scene, told, {"status": 429, **_AT_ONCE})


async def server_errors(scene: Scene) -> Strike:
    """5xx for every call."""
    return await _while_it_fails(scene, {"status": 500, "rate": 0.5, **_AT_ONCE}, {"status": 503, **_AT_ONCE})


async def stall(scene: Scene) -> Strike:
    """Half the calls are never answered, a few more stop in the middle of the answer."""
    return await _while_it_fails(scene, {"hang": True, "rate": 0.5}, {"stall": True, "rate": 0.25})


async def cut(scene: Scene) -> Strike:
    """Every connection ends in the middle of its answer."""
    return await _while_it_fails(scene, {"cut": True})


async def malformed(scene: Scene) -> Strike:
    """Answers that are not JSON, or JSON of another shape."""
    faults = ("malformed", "invalid_utf8", "list", "empty_choices")
    return await _while_it_fails(scene, *({fault: True, "rate": 0.25} for fault in faults))


async def endless(scene: Scene) -> Strike:
    """Bodies and headers without an end."""
    return await _while_it_fails(
        scene, {"endless_body": True, "rate": 0.2}, {"endless_header": True, "rate": 0.2}
    )


async def _while_it_fails(scene: Scene, *failures: dict[str, Any]) -> Strike:
    provider = scene.deployment.surroundings.provider
    low, high = scene.plan.latency_ms
    usual = {"latency_ms": low, "latency_ms_max": high}
    await scene.until_busy()
    strike = await scene.struck(now())  # before the script: reading the ledger may take a while
    try:
        await asyncio.to_thread(provider.script, **usual, failures=list(failures))
        await asyncio.sleep(_FAULT_SECONDS)
    finally:
        await asyncio.to_thread(provider.script, **usual)
    scene.say("the provider behaves again")
    return replace(strike, over_at=now())
