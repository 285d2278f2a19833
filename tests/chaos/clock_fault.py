"""The clock of one worker jumps while the others' do not."""

import asyncio
from dataclasses import replace

from tests.chaos.job_mix import JobMix
from tests.chaos.scene import Scene, now
from tests.chaos.strike import Strike
from tests.support.movable_clock import MovableClock

_JUMP_SECONDS = 60
_HELD_SECONDS = 8.0
_DRAIN_SECONDS = 120.0

NO_SHORT_DEADLINES = JobMix(short_deadline=0.0)
"""A deadline is an instant of the wall clock: a clock that is ahead ends a job before its time."""


async def jump_clock(scene: Scene) -> Strike:
    """A worker more, whose clock jumps a minute ahead, then a minute behind; it leaves in the end."""
    with MovableClock() as clock:
        victim = await asyncio.to_thread(scene.deployment.start_worker, clock.environment)
        await scene.until_busy()
        at = now()
        clock.move(_JUMP_SECONDS)
        strike = await scene.struck(at, victim=victim)
        assert strike.victim_in_flight, f"{victim.name} has no calls in flight"
        await asyncio.sleep(_HELD_SECONDS)
        clock.move(-_JUMP_SECONDS)
        scene.say(f"the clock of {victim.name} is behind")
        await asyncio.sleep(_HELD_SECONDS)
        clock.move(0)
        exit_code = await asyncio.to_thread(victim.child.terminate, _DRAIN_SECONDS)
    return replace(strike, over_at=now(), exit_code=exit_code)
