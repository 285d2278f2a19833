"""The conversation for LangChain, and what LangChain would leave out of the payload."""

from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, convert_to_messages

from shared.domain.invoke_body import Message
from shared.domain.job import Job

_ROLES = {"system": "system", "developer": "developer", "human": "user", "ai": "assistant", "tool": "tool"}
_LEFT_OUT = ("name", "refusal", "reasoning_content")


def langchain_messages(messages: tuple[Message, ...]) -> list[BaseMessage]:
    """The conversation in LangChain's classes."""
    return [_langchain_message(message) for message in messages]


def put_back(payload: dict[str, Any], job: Job) -> None:
    """What LangChain leaves out or renames, as the caller gave it."""
    for sent, given in zip(payload["messages"], job.messages, strict=True):
        for name in _LEFT_OUT:
            if (value := getattr(given, name)) is not None:
                sent[name] = value
        if given.type == "ai":
            _put_back_answer(sent, given)
    if job.is_verbatim and job.parameters.max_tokens is not None:
        # LangChain calls it by its newer name, which only OpenAI's own servers know for sure.
        payload["max_tokens"] = job.parameters.max_tokens
        if job.parameters.max_completion_tokens is None:
            payload.pop("max_completion_tokens", None)


def _put_back_answer(sent: dict[str, Any], given: Message) -> None:
    """LangChain knows three members of a tool call, and one way to have no content."""
    if given.tool_calls:
        sent["tool_calls"] = given.tool_calls
    sent["content"] = given.content


def _langchain_message(message: Message) -> BaseMessage:
    if message.type == "human" and isinstance(message.content, str) and message.name is None:
        return HumanMessage(message.content)
    if message.type == "system" and isinstance(message.content, str) and message.name is None:
        return SystemMessage(message.content)
    if message.type == "ai":
        # As they came: LangChain raises over arguments that a model wrote badly.
        tool_calls = {"tool_calls": message.tool_calls} if message.tool_calls else {}
        content: Any = message.content or ""
        return AIMessage(content, name=message.name, additional_kwargs=tool_calls)
    openai_shape = {"role": _ROLES[message.type], **message.model_dump(exclude={"type"}, exclude_none=True)}
    openai_shape.setdefault("content", "")
    return convert_to_messages([openai_shape])[0]
