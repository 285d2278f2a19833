"""Answers: the seed's shape, and the contract's additions."""

from datetime import datetime
from typing import Any

from shared.domain.job import JobId
from shared.domain.result import Failed, Succeeded
from shared.domain.timestamps import rfc3339


def success_body(result: Succeeded, *, request_latency_ms: float, is_replay: bool) -> dict[str, Any]:
    """The answer of a job that succeeded."""
    content = result.message.get("content")
    return {
        "success": True,
        "request_id": result.request_id,
        "status": result.status,
        "data": {
            "response": content if isinstance(content, str) else "",
            "confidence": result.confidence,
            "message": result.message,
            "finish_reason": result.finish_reason,
        },
        "usage": result.usage.model_dump() if result.usage is not None else None,
        **_outcome(result, request_latency_ms=request_latency_ms, is_replay=is_replay),
        "timestamp": rfc3339(result.completed_at),
        "error": None,
    }


def failure_extra(result: Failed, *, request_latency_ms: float, is_replay: bool) -> dict[str, Any]:
    """What the answer of a failed job says beside its error."""
    return {
        "status": result.status,
        "data": None,
        "usage": None,
        **_outcome(result, request_latency_ms=request_latency_ms, is_replay=is_replay),
    }


def accepted_body(job_id: JobId, status: str, expires_at: datetime) -> dict[str, Any]:
    """The answer of a job that still runs."""
    url = f"/result/{job_id.request_id}"
    return {
        "success": True,
        "request_id": job_id.request_id,
        "status": status,
        "status_url": url,
        "expires_at": rfc3339(expires_at),
    }


def _outcome(result: Succeeded | Failed, *, request_latency_ms: float, is_replay: bool) -> dict[str, Any]:
    return {
        "performance": {
            "request_latency_ms": round(request_latency_ms, 3),
            "llm_latency_ms": result.llm_latency_ms,
            "queue_ms": result.queue_ms,
            "cache_hit": is_replay,
            "retry_count": result.retry_count,
            "attempts": result.attempts,
            "rate_limited": result.rate_limited,
        },
        "model": result.model,
        "cached": is_replay,
        "cost_usd": None,
        "possible_duplicate_charge": result.possible_duplicate_charge,
        "metadata": result.metadata,
    }
