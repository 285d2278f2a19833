"""What a worker tells of a job that ended."""

from shared.domain.errors import JobError
from shared.domain.events import JobFailed, JobFinished
from shared.domain.job import Job
from shared.domain.result import Failed, Succeeded
from shared.domain.timestamps import rfc3339


def job_event(job: Job, result: Succeeded | Failed) -> JobFinished:
    """The end of a job as a fact."""
    is_cached = isinstance(result, Succeeded) and result.from_cache is True
    usage = result.usage if isinstance(result, Succeeded) and not is_cached else None
    topic, partition, offset = job.record or (None, None, None)
    return JobFinished(
        owner=job.id.owner,
        request_id=job.id.request_id,
        model=result.model,
        status=result.status,
        error_code=result.error.error_code if isinstance(result, Failed) else None,
        attempts=result.attempts,
        retry_count=result.retry_count,
        retries=result.retries,
        rate_limited=result.rate_limited,
        cached=is_cached,
        queue_ms=result.queue_ms,
        llm_latency_ms=result.llm_latency_ms,
        total_ms=result.total_ms,
        prompt_tokens=usage.prompt_tokens if usage else None,
        completion_tokens=usage.completion_tokens if usage else None,
        cost_usd=result.cost_usd if not is_cached else None,
        possible_duplicate_charge=result.possible_duplicate_charge,
        metadata=result.metadata,
        topic=topic,
        partition=partition,
        offset=offset,
        priority=job.priority,
        timestamp=rfc3339(result.completed_at),
    )


def failure_event(
    request_id: str | None, error: JobError, attempt: int, owner: str | None = None
) -> JobFailed:
    """A failure as a fact; the provider's own words stay in the result."""
    body = error.model_dump(mode="json", exclude={"details"})
    return JobFailed(owner=owner, request_id=request_id, error=body, attempt=attempt)
