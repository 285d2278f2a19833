"""A conversation reaches the provider as OpenAI's client wrote it, though LangChain builds the payload."""

from typing import Any

import orjson
import pytest

from gateway.chat.body import ChatCompletionBody
from shared.domain.job import Job
from shared.domain.validation import parse_body
from shared.wire import job_from_record, job_to_record
from tests.support.jobs import DEFAULTS
from worker.llm.openai_client import _SessionChatOpenAI
from worker.ports import Rejected

CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
BADLY_WRITTEN = {"id": "call_2", "type": "function", "function": {"name": "f", "arguments": "{a: 1"}}
CUSTOM = {"id": "call_3", "type": "custom", "custom": {"name": "run", "input": "print()"}}
TEXT = {"type": "text", "text": "look"}
MESSAGES: dict[str, dict[str, Any]] = {
    "user": {"role": "user", "content": "Well?"},
    "user with a name": {"role": "user", "content": "Well?", "name": "anna"},
    "system": {"role": "system", "content": "Be brief."},
    "system with a name": {"role": "system", "content": "Be brief.", "name": "rules"},
    "system in parts": {"role": "system", "content": [TEXT]},
    "developer": {"role": "developer", "content": "Be brief."},
    "image": {
        "role": "user",
        "content": [TEXT, {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "high"}}],
    },
    "audio": {
        "role": "user",
        "content": [{"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}],
    },
    "file": {"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]},
    "assistant": {"role": "assistant", "content": "So."},
    "assistant in parts": {"role": "assistant", "content": [TEXT, {"type": "refusal", "refusal": "No."}]},
    "empty assistant": {"role": "assistant", "content": ""},
    "refusal": {"role": "assistant", "content": None, "refusal": "No."},
    "reasoning": {"role": "assistant", "content": "So.", "reasoning_content": "They ask."},
    "tool calls": {"role": "assistant", "content": None, "tool_calls": [CALL, BADLY_WRITTEN]},
    "tool call with words": {"role": "assistant", "content": "Let me see.", "tool_calls": [CALL]},
    "custom tool": {"role": "assistant", "content": None, "tool_calls": [CUSTOM]},
    "tool": {"role": "tool", "content": "a trial", "tool_call_id": "call_1"},
    "tool in parts": {"role": "tool", "content": [TEXT], "tool_call_id": "call_1"},
}


def job_of(*messages: dict[str, Any], **more: Any) -> Job:
    """As a worker gets it: over the record."""
    raw = orjson.dumps({"model": "gpt-4o", "messages": messages, **more})
    body = parse_body(ChatCompletionBody, raw)
    job = body.job(DEFAULTS, owner="public", request_id=None, api_key=None, traceparent=None)
    _, value, headers = job_to_record(job, "/test")
    return job_from_record(value, headers, 0, DEFAULTS)


async def payload_of(job: Job) -> dict[str, Any]:
    sent: list[dict[str, Any]] = []

    async def post(payload: dict[str, Any]) -> dict[str, Any]:
        sent.append(orjson.loads(orjson.dumps(payload)))
        return {"choices": [{"message": {"role": "assistant", "content": "x"}}]}

    await _SessionChatOpenAI.without_client().answer(post, job)
    return sent[0]


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
async def test_a_message_goes_out_as_it_came(message: dict[str, Any]) -> None:
    payload = await payload_of(job_of(message))
    [sent] = payload["messages"]
    assert _without_nulls(sent) == _without_nulls(message)


async def test_a_conversation_keeps_its_order() -> None:
    messages = list(MESSAGES.values())
    sent = (await payload_of(job_of(*messages)))["messages"]
    assert [_without_nulls(message) for message in sent] == [_without_nulls(message) for message in messages]


async def test_members_that_clients_send_back_and_nobody_reads_are_left_out() -> None:
    echo: dict[str, Any] = {
        "role": "assistant",
        "content": "So.",
        "annotations": [],
        "audio": None,
        "function_call": None,
    }
    [sent] = (await payload_of(job_of(echo)))["messages"]
    assert sent == {"role": "assistant", "content": "So."}


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
async def test_a_bound_goes_out_under_the_name_it_came_with(name: str) -> None:
    payload = await payload_of(job_of(MESSAGES["user"], **{name: 5}))
    assert {key: value for key, value in payload.items() if "tokens" in key} == {name: 5}


async def test_what_langchain_refuses_is_refused_in_its_words() -> None:
    tools = {"role": "user", "content": [{"type": "additional_tools", "tools": []}]}
    with pytest.raises(Rejected) as fault:
        await payload_of(job_of(tools))
    assert "additional_tools" in str(fault.value.provider_message)
    assert fault.value.attempts == 0


def _without_nulls(message: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if value is not None}
