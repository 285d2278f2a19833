"""What the provider was asked: the evidence that a job was run once, or how often it was not."""

import time
from dataclasses import asdict, dataclass, field
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

    def as_json(self) -> dict[str, Any]:
        return asdict(self)
