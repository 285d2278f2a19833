"""Which jobs had better not begin yet."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from shared.domain.job import Job
from worker.llm.key_limits import KeyLimits
from worker.llm.provider_circuits import ProviderCircuits

_LONGEST_SECONDS = 5.0
_SPREAD_SECONDS = 1.0
"""Over which those who wait for the same come back."""


class Holds:
    """Jobs that could not call anybody now wait in the queue, where they hold neither a slot nor a lease."""

    def __init__(self, circuits: ProviderCircuits, keys: KeyLimits, fallback_models: Sequence[str]) -> None:
        self._circuits = circuits
        self._keys = keys
        self._fallback_models = fallback_models

    def seconds(self, job: Job) -> float:
        """After which to look again; 0: it is its turn."""
        seconds = self._keys.hold_seconds(job)
        if not self._circuits.are_closed:
            seconds = max(seconds, self._circuit_seconds(job))
        if not seconds:
            return 0.0
        left_seconds = (job.deadline - datetime.now(UTC)).total_seconds()
        return max(0.0, min(seconds, _LONGEST_SECONDS, left_seconds))

    def _circuit_seconds(self, job: Job) -> float:
        """A caller who waits is told at once, and not when the provider is back."""
        if job.is_waited_for():
            return 0.0
        models = (job.model, *self._fallback_models)
        seconds = min(self._circuits.wait_seconds(replace(job, model=model)) for model in models)
        return seconds + random.uniform(0, _SPREAD_SECONDS) if seconds else 0.0  # noqa: S311
