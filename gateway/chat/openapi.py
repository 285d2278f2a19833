"""What `/openapi.json` says of OpenAI's calls."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from gateway.chat.body import ChatCompletionBody, ChatMessage
from gateway.openapi import (
    EVENT,
    IDEMPOTENCY_KEY,
    JOB_STATUSES,
    PRIORITY,
    REPLAYED,
    Json,
    Responses,
    example,
    message_schema,
    refusals,
    without_definitions,
)
from gateway.openapi_examples import OPENAI
from shared.domain.errors import ErrorCode


class _Error(BaseModel):
    model_config = ConfigDict(extra="forbid", title="OpenAIError")

    message: str
    type: str
    param: str | None
    code: str
    trace_id: str


class OpenAIErrorAnswer(BaseModel):
    """A refusal, or a job that ended without an answer, as OpenAI's clients read it."""

    model_config = ConfigDict(extra="forbid")

    error: _Error


class _Choice(BaseModel):
    model_config = ConfigDict(extra="allow", title="ChatCompletionChoice")

    message: dict[str, Any]
    finish_reason: str | None = None


class ChatCompletionAnswer(BaseModel):
    """The provider's answer with every member that it sent."""

    model_config = ConfigDict(extra="allow")

    choices: list[_Choice]


class ModelAnswer(BaseModel):
    """One model."""

    model_config = ConfigDict(extra="forbid")

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelsAnswer(BaseModel):
    """What may be asked for by name."""

    model_config = ConfigDict(extra="forbid")

    object: Literal["list"]
    data: list[ModelAnswer]


def _body_schema() -> Json:
    schema = ChatCompletionBody.model_json_schema()
    definitions = {name: part for name, part in schema["$defs"].items() if name != "JsonValue"}
    described: Json = without_definitions(schema, definitions)
    described["properties"]["messages"]["items"] = {
        "anyOf": [
            message_schema(ChatMessage, "role", ["system", "developer", "user", "assistant"], "content"),
            message_schema(ChatMessage, "role", ["tool"], "content", "tool_call_id"),
            message_schema(ChatMessage, "role", ["assistant"], "tool_calls"),
            message_schema(ChatMessage, "role", ["assistant"], "refusal"),
        ]
    }
    return described


_CODES = frozenset(ErrorCode) - {
    ErrorCode.ALREADY_FINISHED,
    ErrorCode.REQUEST_IN_PROGRESS,
    ErrorCode.UNSUPPORTED_SCHEMA,
    ErrorCode.INVALID_SEALED_KEY,
}
_OPENAIS = (OpenAIErrorAnswer, _CODES, OPENAI)
CHAT_REQUEST: Json = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": _body_schema(),
                "example": {
                    "model": "gpt-4o-mini",
                    "messages": [{"role": "user", "content": "What is the capital of France?"}],
                },
            }
        },
    },
    "parameters": [IDEMPOTENCY_KEY, PRIORITY],
}
CHAT_ANSWERS: Responses = {
    **refusals(JOB_STATUSES, *_OPENAIS),
    200: {
        "model": ChatCompletionAnswer,
        "description": "The completion; with `stream`, its chunks",
        "content": {**example("completion"), "text/event-stream": {"schema": EVENT}},
        "headers": REPLAYED,
    },
}
MODELS_ANSWERS: Responses = {
    **refusals((), *_OPENAIS),
    200: {"model": ModelsAnswer, "description": "The models", "content": example("models")},
}
MODEL_ANSWERS: Responses = {
    **refusals((400,), *_OPENAIS),
    200: {"model": ModelAnswer, "description": "The model", "content": example("model")},
    "4XX": {"model": OpenAIErrorAnswer, "description": "Every refusal has this body"},
}
