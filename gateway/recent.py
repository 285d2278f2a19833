"""What is costly to make and asked for by many: one for all, made anew when it is older than a second."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

_FRESH_SECONDS = 1.0

Made = TypeVar("Made")


class Recent(Generic[Made]):
    """What `make` made last, as long as it is fresh."""

    def __init__(
        self, make: Callable[[], Awaitable[Made]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._make = make
        self._clock = clock
        self._lock = asyncio.Lock()
        self._made: tuple[float, Made] | None = None

    async def get(self) -> Made:
        """Who comes while it is being made waits for that one."""
        async with self._lock:
            if self._made is None or self._clock() - self._made[0] >= _FRESH_SECONDS:
                self._made = self._clock(), await self._make()
            return self._made[1]
