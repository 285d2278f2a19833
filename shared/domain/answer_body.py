"""The seed's answer, with the contract's additions: what HTTP answers and `llm-results` carries."""

from datetime import datetime
from typing import Any

from shared.domain.errors import JobError
from shared.domain.result import Failed, Succeeded, Usage
from shared.domain.timestamps import rfc3339


def success_body(
    result: Succeeded, *, request_latency_ms: float | None = None, is_replay: bool = False
) -> dict[str, Any]:
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
        **_outcome(result, request_latency_ms, is_replay=is_replay),
        "timestamp": rfc3339(result.completed_at),
        "error": None,
    }


def failure_extra(
    result: Failed, *, request_latency_ms: float | None = None, is_replay: bool = False
) -> dict[str, Any]:
    """What the answer of a failed job says beside its error."""
    return {
        "status": result.status,
        "data": None,
        "usage": None,
        **_outcome(result, request_latency_ms, is_replay=is_replay),
        "timestamp": rfc3339(result.completed_at),
    }


def topic_body(result: Succeeded | Failed) -> dict[str, Any]:
    """The answer to nobody in particular: no request, so no latency of one."""
    if isinstance(result, Succeeded):
        return success_body(result)
    return {
        "success": False,
        "request_id": result.request_id,
        **failure_extra(result),
        "error": result.error.model_dump(mode="json"),
    }


def result_from_topic_body(body: dict[str, Any]) -> Succeeded | Failed:
    """The result that `topic_body` told, to the millisecond; `ValueError` or `KeyError` if it is none."""
    performance = body["performance"]
    ended: dict[str, Any] = {
        "request_id": body["request_id"],
        "model": body["model"],
        "completed_at": datetime.fromisoformat(body["timestamp"]),
        **{name: performance[name] for name in _KEPT_PERFORMANCE},
        "total_ms": body.get("total_ms", performance["queue_ms"] + performance["llm_latency_ms"]),
        "retries": body.get("retries"),
        "possible_duplicate_charge": body["possible_duplicate_charge"],
        "cost_usd": body["cost_usd"],
        "metadata": body["metadata"],
        "status": body["status"],
    }
    if not body["success"]:
        return Failed(**ended, error=JobError(**body["error"]))
    data = body["data"]
    return Succeeded(
        **ended,
        message=data["message"],
        finish_reason=data["finish_reason"],
        confidence=data["confidence"],
        usage=Usage(**body["usage"]) if body["usage"] is not None else None,
        provider_answer=body.get("provider_answer"),
        from_cache=body["cached"] or None,
    )


_KEPT_PERFORMANCE = ("llm_latency_ms", "queue_ms", "retry_count", "attempts", "rate_limited")


def _outcome(
    result: Succeeded | Failed, request_latency_ms: float | None, *, is_replay: bool
) -> dict[str, Any]:
    is_cached = is_replay or (isinstance(result, Succeeded) and result.from_cache is True)
    return {
        "performance": {
            "request_latency_ms": round(request_latency_ms, 3) if request_latency_ms is not None else None,
            "llm_latency_ms": result.llm_latency_ms,
            "queue_ms": result.queue_ms,
            "cache_hit": is_cached,
            "retry_count": result.retry_count,
            "attempts": result.attempts,
            "rate_limited": result.rate_limited,
        },
        "model": result.model,
        "cached": is_cached,
        "cost_usd": result.cost_usd,
        "possible_duplicate_charge": result.possible_duplicate_charge,
        "metadata": result.metadata,
    }
