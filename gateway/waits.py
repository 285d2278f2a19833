"""Callers who are held: so many and no more, and all of them let go when the replica ends."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from gateway.caller import Caller, end_wait

Told = TypeVar("Told")


class Waits:
    """The waits of one replica."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waits: set[asyncio.Timeout] = set()
        self._draining = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waits)

    @property
    def is_draining(self) -> bool:
        """Whether the replica is ending."""
        return self._draining.is_set()

    async def pause(self, seconds: float) -> None:
        """Sleep, or wake when the replica ends."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._draining.wait(), seconds)

    @property
    def has_room(self) -> bool:
        """Whether one more caller would be held."""
        return not self.is_draining and len(self._waits) < self._most

    async def hold(
        self, told: Callable[[], Awaitable[Told]], seconds: float, caller: Caller | None
    ) -> Told | None:
        """What `told` comes to; None after `seconds`, and as soon as nobody waits for it any more."""
        caller = caller or Caller()
        if seconds <= 0 or not self.has_room or caller.has_left:
            return None
        try:
            async with asyncio.timeout(seconds) as wait:
                self._waits.add(wait)
                caller.wait = wait
                try:
                    return await told()
                finally:
                    self._waits.discard(wait)
                    caller.wait = None
        except TimeoutError:
            return None

    def drain(self) -> None:
        """End every wait now."""
        self._draining.set()
        for wait in list(self._waits):
            end_wait(wait)
