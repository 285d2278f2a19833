"""Ends the children of a test process that died without saying goodbye.

One reaper a test process, started with the first child. It holds the reading end of a pipe whose only
writing end is in the test process: when that one dies, by whatever signal, the pipe ends, and the reaper
kills every process group it was told of. PR_SET_PDEATHSIG would be Linux only, follows the *thread* that
forked (asyncio's executor threads end with their loop), misses grandchildren, and needs a `preexec_fn`,
which warns in a process with threads from Python 3.12 on.
"""

import atexit
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cache


def watch(group: int) -> None:
    """The process group dies with this process."""
    _tell(group)


def forget(group: int) -> None:
    """The group is gone; its number may be given to somebody else."""
    _tell(-group)


def kill_group(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # macOS says EPERM of a group of zombies
        os.killpg(group, signal.SIGKILL)


def _tell(number: int) -> None:
    _reaper_of(os.getpid()).send(number)


class _Reaper:
    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C or a kill of the whole job must not take the reaper along
            cwd="/",
        )
        atexit.register(self._end)

    def send(self, number: int) -> None:
        assert self._process.stdin
        os.write(self._process.stdin.fileno(), b"%d\n" % number)

    def _end(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


@cache
def _reaper_of(_pid: int) -> _Reaper:
    """Keyed by pid: a forked test process must not use its parent's reaper."""
    return _Reaper()


def _reap(numbers: Iterable[str]) -> None:
    groups: set[int] = set()
    for number in map(int, numbers):
        if number > 0:
            groups.add(number)
        else:
            groups.discard(-number)
    for group in groups:
        kill_group(group)


if __name__ == "__main__":
    _reap(sys.stdin)
