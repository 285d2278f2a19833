"""Which bodies are the same question, and which are another."""

from typing import Any

import orjson
import pytest

from shared.domain.job import ModelDefaults, job_from_body
from shared.domain.validation import parse_invoke_body

DEFAULTS = ModelDefaults("gpt-4o-mini", 0.7, 1000, ("*",))
KEY = "sk-canary-0123456789"
QUESTION = {"user_prompt": "What is the capital of France?"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"a": 1, "b": 2}}}


def fingerprint(body: dict[str, Any] | bytes, defaults: ModelDefaults = DEFAULTS) -> str:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return job_from_body(parse_invoke_body(raw), defaults).fingerprint


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"type": "human", "content": QUESTION["user_prompt"]}]},
        {"messages": [{"role": "user", "content": QUESTION["user_prompt"]}]},
        {
            "messages": [
                {"role": "user", "content": QUESTION["user_prompt"], "name": None, "tool_calls": None}
            ]
        },
        QUESTION | {"model": "gpt-4o-mini"},
        QUESTION | {"temperature": 0.7, "max_tokens": 1000},
        QUESTION
        | {"temperature": None, "stop": None, "tools": None, "system_prompt": None, "messages": None},
        b' {\n"user_prompt"\t: "What is the \\u0063apital of France?" } ',
    ],
    ids=lambda body: str(body)[:60],
)
def test_the_same_meaning_in_other_words_is_the_same_question(body: dict[str, Any] | bytes) -> None:
    assert fingerprint(body) == fingerprint(QUESTION)


@pytest.mark.parametrize(
    "options",
    [
        {"request_id": "6f0a1c2e-7b3d-4e5f-8a9b-0c1d2e3f4a5b"},
        {"deadline_seconds": 30},
        {"on_unknown": "fail"},
        {"metadata": {"team": "blau"}},
    ],
    ids=str,
)
def test_how_it_is_carried_is_no_part_of_the_question(options: dict[str, Any]) -> None:
    assert fingerprint(QUESTION | options) == fingerprint(QUESTION)


@pytest.mark.parametrize(
    "change",
    [
        {"user_prompt": "What is the capital of Spain?"},
        {"user_prompt": "What is the capital of France? "},
        {"system_prompt": "Be brief."},
        {"messages": [{"type": "ai", "content": "hello"}]},
        {"model": "gpt-4o"},
        {"temperature": 0},
        {"max_tokens": 999},
        {"top_p": 0.5},
        {"stop": "END"},
        {"seed": 0},
        {"presence_penalty": 0},
        {"frequency_penalty": 0},
        {"tools": [TOOL]},
        {"tool_choice": "none"},
        {"response_format": {"type": "json_object"}},
        {"logprobs": True},
        {"reasoning_effort": "low"},
        {"openai_api_key": KEY},
    ],
    ids=str,
)
def test_whatever_the_provider_is_told_is_part_of_the_question(change: dict[str, Any]) -> None:
    assert fingerprint(QUESTION | change) != fingerprint(QUESTION)


def test_a_system_prompt_is_the_first_message() -> None:
    prompt = fingerprint(QUESTION | {"system_prompt": "Be brief."})
    message = fingerprint(QUESTION | {"messages": [{"role": "system", "content": "Be brief."}]})
    assert prompt == message


def test_the_order_of_messages_counts_and_the_order_of_names_does_not() -> None:
    def talk(*contents: str) -> dict[str, Any]:
        return {"messages": [{"type": "human", "content": content} for content in contents]}

    assert fingerprint(talk("a", "b")) != fingerprint(talk("b", "a"))
    turned = {"function": {"parameters": {"b": 2, "a": 1}, "name": "f"}, "type": "function"}
    assert fingerprint(QUESTION | {"tools": [TOOL]}) == fingerprint(QUESTION | {"tools": [turned]})


def test_where_one_message_ends_counts() -> None:
    one = {"messages": [{"type": "human", "content": 'a"},{"content":"b'}]}
    two = {"messages": [{"type": "human", "content": "a"}, {"type": "human", "content": "b"}]}
    assert fingerprint(one) != fingerprint(two)


def test_another_key_is_another_question_and_the_key_cannot_be_read_from_it() -> None:
    mine, yours = (
        fingerprint(QUESTION | {"openai_api_key": KEY}),
        fingerprint(QUESTION | {"openai_api_key": "sk-2"}),
    )
    assert mine != yours
    assert fingerprint(QUESTION | {"openai_api_key": KEY}) == mine
    assert len(mine) == 64
    assert set(mine) <= set("0123456789abcdef")


def test_other_defaults_of_the_service_ask_another_question() -> None:
    warmer = ModelDefaults("gpt-4o-mini", 1.0, 1000, ("*",))
    assert fingerprint(QUESTION, warmer) != fingerprint(QUESTION)
    assert fingerprint(QUESTION | {"temperature": 0.7}, warmer) == fingerprint(QUESTION)


def test_a_whole_number_is_the_same_temperature_however_it_is_written() -> None:
    assert fingerprint(b'{"user_prompt": "hi", "temperature": 1}') == fingerprint(
        b'{"user_prompt": "hi", "temperature": 1.0}'
    )
