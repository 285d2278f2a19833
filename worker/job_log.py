"""What the log says of a job."""

from typing import Any

from loguru import logger

from shared.domain.job import Job
from shared.domain.result import Failed, Succeeded


def about(job: Job) -> dict[str, Any]:
    """Which job a line is about; its trace is there if somebody began one."""
    said: dict[str, Any] = job.id._asdict()
    if job.trace_id is not None:
        said["trace_id"] = job.trace_id
    return said


def log_end(job: Job, result: Succeeded | Failed) -> None:
    """The one line of a job that no gateway has answered for."""
    position = job.record._asdict() if job.record is not None else {}
    logger.bind(
        **about(job),
        **position,
        status=result.status,
        error_code=result.error.error_code if isinstance(result, Failed) else None,
        attempts=result.attempts,
        duration_ms=result.total_ms,
    ).info("job_finished")
