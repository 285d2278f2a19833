"""Whoever sent a request: still there, or gone."""

import asyncio


class Caller:
    """Whoever knows the connection says when it ends; a wait for the caller's sake ends with it."""

    def __init__(self) -> None:
        self.has_left = False
        self.wait: asyncio.Timeout | None = None
        """Held for this caller now."""

    def leave(self) -> None:
        """The connection has ended."""
        self.has_left = True
        if self.wait is not None:
            end_wait(self.wait)


def end_wait(wait: asyncio.Timeout) -> None:
    """Let it time out now, unless it just does."""
    if not wait.expired():
        wait.reschedule(asyncio.get_running_loop().time())
