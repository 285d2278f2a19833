"""Waiting for what happens elsewhere: a condition, a deadline, and the last thing seen if it never comes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

_POLL_SECONDS = 0.01

Seen = TypeVar("Seen")


async def eventually(
    look: Callable[[], Awaitable[Seen]], is_it: Callable[[Seen], bool] = bool, *, within_seconds: float = 15.0
) -> Seen:
    """What `look` sees as soon as `is_it` holds."""
    clock = asyncio.get_running_loop().time
    give_up_at = clock() + within_seconds
    while not is_it(seen := await look()):
        assert clock() < give_up_at, f"not in {within_seconds} s; last seen: {seen!r}"
        await asyncio.sleep(_POLL_SECONDS)
    return seen
