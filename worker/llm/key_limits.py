"""The calls of every key that is in use, by a hash of the key."""

import time
from collections.abc import Callable

from pydantic import SecretStr

from shared.domain.job import Job
from worker.llm.key_use import KeyUse

_MOST_KEYS = 1_000
"""That are remembered without a call under way; those of calls under way are as many as calls."""


class KeyLimits:
    """Who waits for whom: only calls of one key for each other."""

    def __init__(
        self,
        own_key: SecretStr | None,
        *,
        most: int,
        pause_seconds: float,
        least: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._own_key = own_key
        self._most = most
        self._pause_seconds = pause_seconds
        self._least = least
        self._now = now
        self._uses: dict[int, KeyUse] = {}

    @property
    def limits(self) -> list[int]:
        """Of the keys that have one."""
        return [use.limit for use in self._uses.values() if use.limit is not None]

    def __len__(self) -> int:
        return len(self._uses)

    def hold_seconds(self, job: Job) -> float:
        """How long a job that has not begun had better wait for its key; 0: it may begin."""
        use = self._uses.get(hash(job.api_key or self._own_key))
        return use.hold_seconds() if use is not None else 0.0

    def use_of(self, job: Job) -> KeyUse:
        """How the key of the job is used."""
        # Python's hash of a text is keyed anew in every process, and a microsecond faster than hashlib's.
        name = hash(job.api_key or self._own_key)
        use = self._uses.get(name)
        if use is None:
            self._forget_idle()
            use = self._uses[name] = KeyUse(self._most, self._pause_seconds, self._now, least=self._least)
        return use

    def _forget_idle(self) -> None:
        """Those that have no limit; if there are too many even so, the older half of those that have one."""
        if len(self._uses) < _MOST_KEYS:
            return
        idle = {name: use.limit for name, use in self._uses.items() if use.is_idle}
        limited = [name for name, limit in idle.items() if limit is not None]
        kept = (
            limited
            if len(self._uses) - len(idle) + len(limited) <= _MOST_KEYS
            else limited[_MOST_KEYS // 2 :]
        )
        for name in idle.keys() - set(kept):
            del self._uses[name]
