"""What is told of a job that failed: when it ended and with which error, and none of its words."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

from shared.domain.result import Failed

MOST_KEPT = 20


class FailedJob(BaseModel):
    """A line in the list of an owner's last failures."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    request_id: str
    model: str
    status: Literal["failed", "expired", "cancelled"]
    error_code: str
    retryable: bool
    attempts: int
    total_ms: float
    completed_at: datetime

    @classmethod
    def of(cls, result: Failed) -> Self:
        """Without the error's message, which may repeat the provider's."""
        return cls(
            request_id=result.request_id,
            model=result.model,
            status=result.status,
            error_code=result.error.error_code,
            retryable=result.error.retryable,
            attempts=result.attempts,
            total_ms=result.total_ms,
            completed_at=result.completed_at,
        )


def latest_first(failures: Iterable[FailedJob]) -> list[FailedJob]:
    """Copies of results may come late."""
    return sorted(failures, key=lambda failure: failure.completed_at, reverse=True)
