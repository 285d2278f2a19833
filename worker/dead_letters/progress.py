"""How far it is: a bar where somebody looks, lines where nobody does."""

from typing import TextIO

_WIDTH = 30
_LINES = 10


class Progress:
    """Drawn on stderr, so that stdout holds results alone."""

    def __init__(self, total: int, stream: TextIO) -> None:
        self._total = total
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._done = 0

    @property
    def is_done(self) -> bool:
        return self._done >= self._total

    def step(self, count: int = 1) -> None:
        shown = self._done * _LINES // max(self._total, 1)
        self._done += count
        if self._is_terminal:
            filled = _WIDTH * self._done // max(self._total, 1)
            self._write(f"\r[{'#' * filled:.<{_WIDTH}}] {self._done}/{self._total}")
        elif self._done == self._total or self._done * _LINES // max(self._total, 1) > shown:
            self._write(f"{self._done}/{self._total}\n")

    def clear(self) -> None:
        """Make room for a line on the same terminal."""
        if self._is_terminal:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
