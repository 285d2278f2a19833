"""The body of `POST /v1/chat/completions`, as OpenAI's API reference describes it."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID, uuid4

from pydantic import ConfigDict, Field, JsonValue, SecretStr, StringConstraints, model_validator

from shared.domain.invoke_body import (
    MOST_DEADLINE_SECONDS,
    MOST_MESSAGES,
    OPENAI_ROLES,
    CacheControl,
    ChatParameters,
    Message,
    Metadata,
    Strict,
    check_members,
    given_parameters,
)
from shared.domain.job import Job, JobId, ModelDefaults, check_supported


class ChatMessage(Strict):
    """One message, in OpenAI's words."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[dict[str, JsonValue]] | None = None
    name: str | None = None
    tool_calls: list[dict[str, JsonValue]] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    audio: None = None
    function_call: None = None
    annotations: list[JsonValue] | None = None
    """What an earlier answer cited: clients send it back, providers do not read it."""

    @model_validator(mode="after")
    def _is_whole(self) -> "ChatMessage":
        check_members(self, OPENAI_ROLES[self.role], "assistant")
        return self

    def message(self) -> Message:
        """The same in the words of the rest of the service."""
        members = {name: getattr(self, name) for name in Message.model_fields if name != "type"}
        return Message.model_construct(type=OPENAI_ROLES[self.role], **members)


class StreamOptions(Strict):
    """What a stream tells beside the text."""

    include_usage: bool = False
    include_obfuscation: bool = False
    """Padding that hides the length of tokens: there is none here."""


class ChatCompletionBody(ChatParameters):
    """A request as a client of OpenAI writes it; `deadline_seconds` and `on_unknown` are this service's."""

    model_config = ConfigDict(title="ChatCompletionRequest")

    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MOST_MESSAGES)]
    model: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    cache: CacheControl | None = None
    modalities: list[Literal["text"]] | None = None
    metadata: Metadata | None = None
    deadline_seconds: Annotated[float, Field(ge=1, le=MOST_DEADLINE_SECONDS)] = 600
    on_unknown: Literal["retry", "fail"] = "retry"

    @property
    def includes_usage(self) -> bool:
        """Whether a stream ends with the token counts."""
        return self.stream_options is not None and self.stream_options.include_usage

    def job(
        self,
        defaults: ModelDefaults,
        *,
        owner: str,
        request_id: UUID | None,
        api_key: SecretStr | None,
        traceparent: str | None,
    ) -> Job:
        """The job it asks for: what it leaves out is left to the provider."""
        check_supported(self.model, defaults, str(request_id) if request_id else None)
        created_at = datetime.now(UTC)
        return Job(
            id=JobId(owner, str(request_id or uuid4())),
            messages=tuple(message.message() for message in self.messages),
            model=self.model,
            parameters=ChatParameters(**given_parameters(self)),
            created_at=created_at,
            deadline=created_at + timedelta(seconds=self.deadline_seconds),
            is_streamed=self.stream or False,
            cache=self.cache,
            is_verbatim=True,
            on_unknown=self.on_unknown,
            metadata=self.metadata,
            api_key=api_key,
            traceparent=traceparent,
            wait_seconds=self.deadline_seconds,
        )
