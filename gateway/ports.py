"""What the gateway asks of the queue."""

from typing import Protocol

from shared.domain.job import Job


class QueueUnavailable(Exception):
    """The job was not accepted: nothing promises that it will run."""

    def __init__(
        self, reason: str, *, is_full: bool = False, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(reason)
        self.is_full = is_full
        self.retry_after_seconds = retry_after_seconds
        """When there may be room; None: nobody knows."""


class JobQueue(Protocol):
    """Where accepted jobs wait for a worker."""

    async def enqueue(self, job: Job) -> None:
        """Return when the job is accepted; `QueueUnavailable` otherwise."""
        ...

    async def is_available(self) -> bool:
        """Whether a job would be accepted now; never raises."""
        ...
