"""An answer's bytes as a chat completion. Nothing in them is trusted: what goes on can be stored and read."""

import math
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import from_json, to_json

from shared.domain.errors import ErrorCode
from shared.domain.result import Usage
from worker.llm.provider_errors import error_inside
from worker.ports import OutcomeUnknown

_Tokens = Annotated[int, Field(ge=0, lt=2**31)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True)


class _Message(_Strict):
    role: Literal["assistant"]
    content: str | list[Any] | None = None
    tool_calls: list[dict[str, Any]] | None = None


class _Choice(_Strict):
    message: _Message
    finish_reason: str | None = None


class _Answer(_Strict):
    """The part of the shape that this service relies on."""

    choices: Annotated[list[_Choice], Field(min_length=1)]


class _TokenCounts(_Strict):
    prompt_tokens: _Tokens
    completion_tokens: _Tokens
    total_tokens: _Tokens | None = None


def parse_answer(body: bytes | bytearray) -> dict[str, Any]:
    """The completion of a 200 as the provider sent it, or an `LLMError`."""
    try:
        answer: dict[str, Any] = orjson.loads(body)
    except ValueError:
        raise unreadable() from None
    if isinstance(answer, dict) and answer.get("error"):
        raise error_inside(answer["error"])
    return checked(answer)


def checked(answer: dict[str, Any]) -> dict[str, Any]:
    """The same, if it is a completion that can be stored and read."""
    try:
        _Answer.model_validate(answer)
        # What is nested deeper than this can be parsed and not stored, or stored and not read.
        from_json(to_json([answer]))
    except ValueError:
        raise unreadable() from None
    return answer


def as_langchain_knows_it(answer: dict[str, Any]) -> dict[str, Any]:
    """Without what it would refuse: calls of custom tools, and token counts, which are read apart."""
    choices = [_with_function_calls(choice) for choice in answer["choices"]]
    return {**answer, "usage": None, "choices": choices}


def _with_function_calls(choice: dict[str, Any]) -> dict[str, Any]:
    calls = choice["message"].get("tool_calls")
    if not calls or all(call.get("type") != "custom" for call in calls):
        return choice
    functions = [call for call in calls if call.get("type") != "custom"]
    return {**choice, "message": {**choice["message"], "tool_calls": functions}}


def unreadable() -> OutcomeUnknown:
    message = "The provider's answer cannot be read as a chat completion"
    return OutcomeUnknown(ErrorCode.UPSTREAM_INVALID_RESPONSE, message)


def model_of(answer: dict[str, Any]) -> str | None:
    """Which model spoke, if the provider says so."""
    model = answer.get("model")
    return model if isinstance(model, str) and model else None


def without_message(answer: dict[str, Any]) -> dict[str, Any]:
    """The rest of an answer whose first message is kept elsewhere."""
    first, *others = answer["choices"]
    return {**answer, "choices": [{name: part for name, part in first.items() if name != "message"}, *others]}


def usage_of(answer: dict[str, Any]) -> Usage | None:
    """Token counts that add up, or none: a broken account is no reason to throw a good answer away."""
    try:
        counts = _TokenCounts.model_validate(answer.get("usage"))
    except ValueError:
        return None
    total = counts.prompt_tokens + counts.completion_tokens
    return Usage(**{**counts.model_dump(exclude_none=True), "total_tokens": counts.total_tokens or total})


def cached_tokens_of(answer: dict[str, Any]) -> int:
    """How much of the prompt the provider had cached."""
    usage = answer.get("usage")
    details = usage.get("prompt_tokens_details") if isinstance(usage, dict) else None
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return cached if isinstance(cached, int) and cached > 0 else 0


def confidence_of(logprobs: Any) -> float | None:
    """Geometric mean of the token probabilities; None if the provider gave none, or nonsense."""
    try:
        values = [min(0.0, token["logprob"]) for token in (logprobs or {}).get("content") or []]
        return round(math.exp(sum(values) / len(values)), 6) if values else None
    except (TypeError, KeyError, AttributeError):
        return None
