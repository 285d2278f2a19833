"""What runs beside something ends with it."""

import asyncio
from contextlib import suppress

import pytest

from shared.background import in_background


async def test_a_task_that_swallows_a_cancellation_ends_all_the_same() -> None:
    swallowed = 0

    async def deaf() -> None:
        nonlocal swallowed
        while swallowed < 2:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                swallowed += 1
        await asyncio.sleep(3600)

    async with asyncio.timeout(30), in_background(deaf(), asyncio.sleep(3600)):
        await asyncio.sleep(0)
    assert swallowed == 2


async def test_it_ends_when_the_block_fails_and_a_task_that_failed_disturbs_nobody() -> None:
    async def failing() -> None:
        raise ValueError("told elsewhere")

    ended = asyncio.Event()

    async def beside() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        ended.set()

    async def block() -> None:
        async with in_background(failing(), beside()):
            await asyncio.sleep(0)
            raise RuntimeError("the block")

    with pytest.raises(RuntimeError, match="the block"):
        await block()
    assert ended.is_set()
