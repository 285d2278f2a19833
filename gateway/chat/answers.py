"""A stored result as OpenAI's API answers it."""

from typing import Any

from shared.domain.result import Succeeded


def completion_body(result: Succeeded) -> dict[str, Any]:
    """The provider's own answer, member by member."""
    answer = result.provider_answer or _made_up(result)
    first, *others = answer["choices"]
    return {**answer, "choices": [{**first, "message": result.message}, *others]}


def _made_up(result: Succeeded) -> dict[str, Any]:
    """For a result that was stored before the provider's answers were kept whole."""
    choice = {"index": 0, "finish_reason": result.finish_reason, "logprobs": None}
    return {
        "id": f"chatcmpl-{result.request_id}",
        "object": "chat.completion",
        "created": int(result.completed_at.timestamp()),
        "model": result.model,
        "choices": [choice],
        "usage": result.usage.model_dump() if result.usage is not None else None,
    }
