"""What a gateway has of the world outside."""

from dataclasses import dataclass

from gateway.key_sealer import KeySealer
from gateway.ports import JobQueue
from gateway.queue_gauge import QueueGauge
from shared.limits import JobLimits
from shared.ports import Replicas, ResponseCache, ResultStore, StreamReader


@dataclass(frozen=True, slots=True)
class Adapters:
    """As `connect` hands them over."""

    store: ResultStore
    queue: JobQueue
    streams: StreamReader
    cache: ResponseCache
    replicas: Replicas
    mode: str
    """How jobs travel: "one process" or "distributed"."""
    accepts_caller_keys: bool
    """Whether a caller's key can reach the provider call without travelling in the clear."""
    sealer: KeySealer | None = None
    """With what callers' keys are sealed to the workers."""
    gauge: QueueGauge | None = None
    """How long a new job would wait."""
    limits: JobLimits | None = None
    """None: nobody has any."""

    @property
    def is_distributed(self) -> bool:
        return self.mode == "distributed"
