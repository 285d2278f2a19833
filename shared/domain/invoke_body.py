"""The body of `POST /invoke`, which is also the value of a record on `llm-requests`."""

import re
import unicodedata
from typing import Annotated, Any, Literal, Protocol
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    SecretStr,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

MessageType = Literal["system", "developer", "human", "ai", "tool"]
OPENAI_ROLES: dict[str, MessageType] = {
    "user": "human",
    "assistant": "ai",
    "system": "system",
    "developer": "developer",
    "tool": "tool",
}
API_KEY = re.compile(r"sk-[\x21-\x7e]{1,509}")
_SYSTEM = ("system", "developer")
_MOST_METADATA = 16
MOST_MESSAGES = 2048  # OpenAI's own limit
_MOST_TOKENS = 10_000_000
MOST_DEADLINE_SECONDS = 3600
MOST_CACHE_SECONDS = 2_592_000


def _visible(text: str) -> str:
    if not any(unicodedata.category(character)[0] not in "ZC" for character in text):
        raise PydanticCustomError("no_visible_character", "must hold at least one visible character")
    return text


def check_api_key(key: SecretStr) -> SecretStr:
    """A key of the form that OpenAI's have, which is also safe inside a header."""
    if not API_KEY.fullmatch(key.get_secret_value()):
        raise PydanticCustomError("invalid_api_key", "Invalid OpenAI API key format")
    return key


def _whole(number: Any) -> Any:
    """JSON has one kind of number: 5.0 is as whole as 5."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _type_from_role(message: Any) -> Any:
    """OpenAI's `role` is accepted for `type`."""
    if isinstance(message, dict) and "role" in message and "type" not in message:
        rest = {name: value for name, value in message.items() if name != "role"}
        return {"type": OPENAI_ROLES.get(str(message["role"]), message["role"]), **rest}
    return message


Metadata = Annotated[
    dict[
        Annotated[str, StringConstraints(min_length=1, max_length=64)],
        Annotated[str, StringConstraints(max_length=512)],
    ],
    Field(max_length=_MOST_METADATA),
]


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Message(Strict):
    """One message of a conversation, in the seed's words: system, human, ai, tool; and OpenAI's developer."""

    type: MessageType
    content: str | list[dict[str, JsonValue]] | None = None
    name: str | None = None
    tool_calls: list[dict[str, JsonValue]] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    """An earlier answer's, as the provider gave it."""
    reasoning_content: str | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> "Message":
        check_members(self, self.type, "ai")
        return self


class _Members(Protocol):
    """What every form of a message has."""

    @property
    def content(self) -> object: ...
    @property
    def tool_calls(self) -> object: ...
    @property
    def tool_call_id(self) -> object: ...
    @property
    def refusal(self) -> object: ...


def check_members(message: _Members, kind: MessageType, answer: str) -> None:
    """A message says something, and a tool's says to which call. `answer`: what an ai's is called."""
    is_said_otherwise = bool(message.tool_calls) or message.refusal is not None
    if message.content is None and not (kind == "ai" and is_said_otherwise):
        raise PydanticCustomError(
            "missing",
            "content is required (only an {answer} message with tool_calls or a refusal may lack it)",
            {"answer": answer},
        )
    if kind == "tool" and message.tool_call_id is None:
        raise PydanticCustomError("missing", "a tool message needs tool_call_id")


class Parameters(Strict):
    """What is passed on to the provider beside model and messages; nothing else is."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=_MOST_TOKENS), BeforeValidator(_whole)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    stop: str | Annotated[list[str], Field(min_length=1, max_length=4)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63), BeforeValidator(_whole)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    tools: list[dict[str, JsonValue]] | None = None
    tool_choice: str | dict[str, JsonValue] | None = None
    response_format: dict[str, JsonValue] | None = None
    logprobs: bool | None = None
    reasoning_effort: str | None = None


class ChatParameters(Parameters):
    """What `/v1/chat/completions` passes on besides."""

    n: Annotated[int, Field(ge=1, le=128), BeforeValidator(_whole)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=_MOST_TOKENS), BeforeValidator(_whole)] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20), BeforeValidator(_whole)] | None = None
    parallel_tool_calls: bool | None = None
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = None
    prediction: dict[str, JsonValue] | None = None
    verbosity: str | None = None
    service_tier: str | None = None
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None
    user: str | None = None
    store: bool | None = None


_PARAMETERS = frozenset(ChatParameters.model_fields)


def given_parameters(body: Parameters) -> dict[str, Any]:
    """What a body says of them; most say little, and asking for each of all takes ten times as long."""
    return {name: getattr(body, name) for name in body.model_fields_set & _PARAMETERS}


class CacheControl(Strict):
    """What a request wants of the response cache."""

    mode: Literal["default", "bypass", "refresh", "only"] = "default"
    ttl_seconds: Annotated[int, Field(ge=1, le=MOST_CACHE_SECONDS), BeforeValidator(_whole)] | None = None


class InvokeBody(Parameters):
    """A request as a user writes it, before defaults."""

    request_id: UUID | None = None
    user_prompt: Annotated[str, AfterValidator(_visible)] | None = None
    system_prompt: Annotated[str, AfterValidator(_visible)] | None = None
    messages: (
        Annotated[
            list[Annotated[Message, BeforeValidator(_type_from_role)]],
            Field(min_length=1, max_length=MOST_MESSAGES),
        ]
        | None
    ) = None
    openai_api_key: Annotated[SecretStr, AfterValidator(check_api_key)] | None = None
    model: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    deadline_seconds: Annotated[float, Field(ge=1, le=MOST_DEADLINE_SECONDS)] = 600
    on_unknown: Literal["retry", "fail"] = "retry"
    stream: bool = False
    cache: CacheControl | None = None
    metadata: Metadata | None = None

    @model_validator(mode="after")
    def _holds_a_prompt(self) -> "InvokeBody":
        if self.user_prompt is None and self.messages is None:
            raise PydanticCustomError(
                "missing_prompt", "user_prompt is required unless messages is given", {"field": "user_prompt"}
            )
        if self.system_prompt is not None and any(m.type in _SYSTEM for m in self.messages or ()):
            raise PydanticCustomError(
                "two_system_prompts",
                "system_prompt and a system message in messages exclude each other; give one of them",
                {"field": "system_prompt"},
            )
        return self

    def conversation(self) -> tuple[Message, ...]:
        """System prompt first, the conversation so far, the user's prompt last."""
        system = (
            [Message(type="system", content=self.system_prompt)] if self.system_prompt is not None else []
        )
        human = [Message(type="human", content=self.user_prompt)] if self.user_prompt is not None else []
        return (*system, *(self.messages or ()), *human)
