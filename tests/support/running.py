"""The brokers of a test session: each looked for, and started, at most once, when first asked for."""

from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Self, TypeVar

from tests.support.availability import Unavailable
from tests.support.server import Server

S = TypeVar("S", bound=Server)


class RunningServers:
    """Leaving it stops them all, the last one first."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._found: dict[Callable[[], Server], Server | Unavailable] = {}

    @property
    def names(self) -> list[str]:
        names = [server.name for server in self._found.values() if isinstance(server, Server)]
        return list(dict.fromkeys(names))

    def get(self, find: Callable[[], S]) -> S:
        """What `find` finds, running; raises `Unavailable`, without searching again, if it found nothing."""
        if find not in self._found:
            self._found[find] = self._start(find)
        found = self._found[find]
        if isinstance(found, Unavailable):
            raise found
        return found  # type: ignore[return-value]  # the dictionary cannot say that values follow keys

    def _start(self, find: Callable[[], Server]) -> Server | Unavailable:
        try:
            return self._stack.enter_context(find())
        except Unavailable as reason:
            return reason

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
