"""A wall clock that a test can move for one child process; its monotonic clock goes on."""

import shutil
import struct
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.availability import Unavailable

_SOURCE = Path(__file__).with_suffix(".c")


class MovableClock:
    """`environment` makes a child live by it. Linux, with a C compiler."""

    def __init__(self) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            raise Unavailable("no C compiler (cc) for a clock that can be moved")
        self._folder = Path(tempfile.mkdtemp(prefix="clock-"))
        self._library, self._offset = self._folder / "movable_clock.so", self._folder / "offset"
        self._offset.write_bytes(struct.pack("=q", 0))
        command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(self._library), str(_SOURCE), "-ldl"]
        subprocess.run(command, check=True)

    @property
    def environment(self) -> Mapping[str, str]:
        return {"LD_PRELOAD": str(self._library), "MOVABLE_CLOCK_FILE": str(self._offset)}

    def move(self, seconds: int) -> None:
        """Ahead of the true time; negative: behind it."""
        with self._offset.open("r+b") as file:  # in place: the child has this page mapped
            file.write(struct.pack("=q", seconds))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._folder)
