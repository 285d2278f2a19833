"""The faults that last: something goes away for a while and is put right."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from tests.chaos.scene import Scene, now
from tests.chaos.strike import Strike

Step = Callable[[], Awaitable[None]]


async def outage(scene: Scene, strike: Step, repair: Step, seconds: float, said: str) -> Strike:
    """Strike when the service is busy, and repair after `seconds`."""
    await scene.until_busy()
    at = now()
    await strike()
    struck = await scene.struck(at)
    await asyncio.sleep(seconds)
    await repair()
    scene.say(said)
    return replace(struck, over_at=now())


def in_thread(block: Callable[[], None]) -> Step:
    """A step that would hold up the callers."""
    return partial(asyncio.to_thread, block)
