"""The processes that make up the service, as they speak of themselves."""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt

FRESH_SECONDS = 5.0
"""A replica that says nothing for longer is silent."""
REMEMBERED_SECONDS = 300.0
"""How long a silent one is shown: who was killed did not say goodbye."""

ReplicaState = Literal["well", "leaving", "no kafka"]


class ReplicaReport(BaseModel):
    """What one process says once a second."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Literal["gateway", "worker", "one process"]
    name: str
    version: str
    started_at: datetime
    state: ReplicaState
    busy: NonNegativeInt
    """Jobs that a worker runs, callers that a gateway holds."""
    room: NonNegativeInt
    """How many that may be."""


@dataclass(frozen=True, slots=True)
class Replica:
    """A report, and how old it is."""

    report: ReplicaReport
    silent_seconds: float

    @property
    def state(self) -> str:
        """As it is seen from outside."""
        return "silent" if self.silent_seconds > FRESH_SECONDS else self.report.state


@cache
def replica_name() -> str:
    """Of this process: host (a pod's or container's name) and process id; no two of a deployment share it."""
    return f"{socket.gethostname()}-{os.getpid()}"


def unwell_first(replicas: Sequence[Replica]) -> list[Replica]:
    """In an order that does not jump."""
    return sorted(replicas, key=lambda one: (one.state == "well", one.report.kind, one.report.name))
