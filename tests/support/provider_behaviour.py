"""How the scripted provider treats one call: from a directive in the message, or from the global script.

A directive is part of the last user message: `[[latency_ms=200]]`, `[[status=429 times=2 retry_after=0.05]]`,
`[[status=429 retry_after=soon]]`, `[[status=429 retry_date=30]]` (an HTTP date so many seconds ahead),
`[[status=400 code=context_length_exceeded]]`, `[[status=307]]` (to itself), `[[finish=length]]`,
`[[prompt_tokens=900 cached_tokens=800 reasoning_tokens=64 beside_tokens=32]]`, `[[model=another-name]]`,
`[[tool_calls]]`, `[[recorded=NAME]]`, `[[token_ms=20]]`, and a word of provider_faults.py: `[[hang]]`,
`[[cut]]`, `[[malformed]]`, ...
`times=N` limits a fault to the first N calls that carry that very message.
"""

import random
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from tests.support.provider_faults import FAULTS

_DIRECTIVE = re.compile(r"\[\[([^\[\]]+)\]\]")


@dataclass(frozen=True, slots=True)
class Behaviour:
    latency_ms: float = 0
    latency_ms_max: float = 0  # above latency_ms: uniform between the two
    status: int = 200
    code: str | None = None
    retry_after: str | None = None  # as the header says it
    retry_date: float | None = None  # seconds from now, said as an HTTP date
    fault: str = ""
    finish: str = "stop"
    tool_calls: bool = False
    model: str = ""  # that the answer names, instead of the one that was asked for
    prompt_tokens: int = 0  # instead of about the prompt's words
    cached_tokens: int = 0
    reasoning_tokens: int = 0  # a part of the completion
    beside_tokens: int = 0  # reasoning that stands in the total alone
    recorded: str = ""  # the name of an answer in tests/support/recorded
    token_ms: float = 0  # between the chunks of a stream
    times: int | None = None  # of the fault; None is for ever
    rate: float = 1.0  # of the fault, in the global script

    @property
    def without_fault(self) -> "Behaviour":
        return replace(self, status=200, fault="")

    def fault_of(self, other: "Behaviour") -> "Behaviour":
        """The other's fault, at this one's speed unless it has its own."""
        if other.latency_ms:
            return other
        return replace(other, latency_ms=self.latency_ms, latency_ms_max=self.latency_ms_max)


_TYPES: dict[str, Any] = {
    "status": int,
    "times": int,
    "latency_ms": float,
    "token_ms": float,
    "latency_ms_max": float,
    "retry_after": str,
    "retry_date": float,
    "rate": float,
    "prompt_tokens": int,
    "cached_tokens": int,
    "reasoning_tokens": int,
    "beside_tokens": int,
}
_NAMES = {field.name for field in fields(Behaviour)}


class Script:
    """The global behaviour, and who has had how many faults already."""

    def __init__(self, wanted: Mapping[str, Any] | None = None) -> None:
        wanted = dict(wanted or {})
        self._random = random.Random(wanted.pop("seed", 0))
        self._failures = [_behaviour(failure) for failure in wanted.pop("failures", [])]
        self._used = [0] * len(self._failures)
        self._usual = _behaviour(wanted)
        self._seen: Counter[str] = Counter()

    def behaviour(self, message: str) -> Behaviour:
        """A message's own directive wins over the global script."""
        settings = _directives(message)
        if not settings:
            return self._global()
        asked = _behaviour(settings, self._usual)
        self._seen[message] += 1
        is_spent = asked.times is not None and self._seen[message] > asked.times
        return asked.without_fault if is_spent else asked

    def seconds(self, behaviour: Behaviour) -> float:
        low, high = behaviour.latency_ms, behaviour.latency_ms_max
        return (self._random.uniform(low, high) if high > low else low) / 1000

    def _global(self) -> Behaviour:
        for number, failure in enumerate(self._failures):
            is_left = failure.times is None or self._used[number] < failure.times
            if is_left and (failure.rate >= 1 or self._random.random() < failure.rate):
                self._used[number] += 1
                return self._usual.fault_of(failure)
        return self._usual


def _directives(message: str) -> dict[str, str | bool]:
    if "[[" not in message:  # the fast path of a load test
        return {}
    words = " ".join(_DIRECTIVE.findall(message)).split()
    parts = (word.partition("=") for word in words)
    return {name: value if is_set else True for name, is_set, value in parts}


def _behaviour(settings: Mapping[str, Any], usual: Behaviour | None = None) -> Behaviour:
    settings = dict(settings)
    for name in FAULTS & settings.keys():
        if settings.pop(name):
            settings["fault"] = name
    unknown = settings.keys() - _NAMES
    if unknown:
        raise ValueError(f"unknown in a script: {', '.join(sorted(unknown))}")
    typed = {name: _TYPES.get(name, lambda value: value)(value) for name, value in settings.items()}
    if "latency_ms" in typed and "latency_ms_max" not in typed:
        typed["latency_ms_max"] = 0
    return replace(usual or Behaviour(), **typed)
