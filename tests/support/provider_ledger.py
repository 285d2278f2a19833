"""What the provider was asked: the evidence that a job was run once, or how often it was not."""

import time
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Call:
    number: int  # from 1, in order of arrival
    message: str  # the last user message
    key_ending: str  # the last four characters of the authorization header
    parameters: dict[str, Any]  # the request without its messages
    arrived_ns: int = field(default_factory=time.monotonic_ns)
    arrived_at: float = field(default_factory=time.time)
    status: int = 0  # 0: not answered, or not yet
    was_disconnected: bool = False  # the client left before the answer
    fault: str = ""  # the word of provider_faults.py
    has_cookie: bool = False
    sent_bytes: int = 0  # of an answer without an end
    ended_at: float = 0.0  # 0: it still runs
    answered_model: str = ""  # and the tokens that an answer told
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0

    @property
    def was_served(self) -> bool:
        """A usable answer was sent: it is charged."""
        return self.status == 200 and self.fault in ("", "no_usage")

    @property
    def was_refused(self) -> bool:
        """Answered with an error status: nothing was charged."""
        return self.status not in (0, 200)

    @property
    def is_unknown(self) -> bool:
        """No usable answer came back, and the client cannot know whether it was charged."""
        return self.status == 0 or (self.status == 200 and bool(self.fault))

    @property
    def was_broken(self) -> bool:
        """The provider itself saw to it that no usable answer came back."""
        return bool(self.fault) and self.is_unknown

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def ran_at(self, at: float) -> bool:
        """Whether it was in flight at an instant of `time.time`."""
        return self.arrived_at < at and (not self.ended_at or self.ended_at > at)
