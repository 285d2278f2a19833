"""The released `openai` package, unchanged: through the service it sees what it sees of the provider."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import openai
import pytest
from pydantic import BaseModel

from tests.support.provider_process import ScriptedProvider

RECORDED = sorted(path.stem for path in (Path(__file__).parents[1] / "support" / "recorded").glob("*.json"))
ANSWERS = [name for name in RECORDED if name != "empty_choices"]
STREAMED = [name for name in ANSWERS if name != "custom_tool"]  # which the client itself cannot put together
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "look_up",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"word": {"type": "string"}},
            "required": ["word"],
            "additionalProperties": False,
        },
    },
}


def asked(text: str) -> Any:
    return [{"role": "user", "content": text}]


def final_of(stream: Any) -> Any:
    """What the client made of the stream; it raises over some ends, and holds the answer then, too."""
    try:
        return stream.get_final_completion().model_dump()
    except openai.LengthFinishReasonError as ending:
        return ending.completion.model_dump()
    except openai.ContentFilterFinishReasonError as ending:
        return ending.completion.model_dump() if ending.completion is not None else None


@pytest.fixture
def client(service_url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="unused", base_url=f"{service_url}/v1", max_retries=0) as client:
        yield client


@pytest.fixture
def direct(provider: ScriptedProvider) -> Iterator[openai.OpenAI]:
    """The same client at the provider itself."""
    with openai.OpenAI(api_key="sk-x", base_url=provider.base_url, max_retries=0) as client:
        yield client


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_the_providers_with_every_member(
    client: openai.OpenAI, direct: openai.OpenAI, name: str
) -> None:
    question: Any = {"model": "gpt-4o-mini", "messages": asked(f"{uuid4()} [[recorded={name}]]")}
    through, straight = (
        each.chat.completions.with_raw_response.create(**question) for each in (client, direct)
    )
    assert json.loads(through.text) == json.loads(straight.text)


@pytest.mark.parametrize("name", STREAMED)
def test_a_stream_comes_to_the_providers_answer_with_every_member(
    client: openai.OpenAI, direct: openai.OpenAI, name: str
) -> None:
    question: Any = {
        "model": "gpt-4o-mini",
        "messages": asked(f"{uuid4()} [[recorded={name}]]"),
        "stream_options": {"include_usage": True},
    }
    finals = []
    for each in (client, direct):
        with each.chat.completions.stream(**question) as stream:
            finals.append(final_of(stream))
    assert finals[0] == finals[1]


def test_an_answer_without_choices_is_an_error(client: openai.OpenAI) -> None:
    # The provider has said nothing that could be kept
    with pytest.raises(openai.InternalServerError) as fault:
        client.chat.completions.create(
            model="gpt-4o-mini", messages=asked(f"{uuid4()} [[recorded=empty_choices]]")
        )
    assert fault.value.code == "upstream_invalid_response"


def test_a_stream_has_usage_only_for_who_asks(client: openai.OpenAI) -> None:
    question: Any = {"model": "gpt-4o-mini", "messages": asked(f"one two {uuid4()}"), "stream": True}
    chunks = list(client.chat.completions.create(**question))
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    question["stream_options"] = {"include_usage": True}
    *others, last = client.chat.completions.create(**question)
    assert (last.choices, last.usage.total_tokens > 0) == ([], True)
    assert all(chunk.usage is None for chunk in others)


def test_an_idempotency_key_makes_a_retry_free(client: openai.OpenAI, provider: ScriptedProvider) -> None:
    prompt, headers = f"free {uuid4()}", {"Idempotency-Key": str(uuid4())}
    question: Any = {"model": "gpt-4o-mini", "messages": asked(prompt), "extra_headers": headers}
    first = client.chat.completions.create(**question)
    raw = client.chat.completions.with_raw_response.create(**question)
    assert raw.parse() == first
    assert first._request_id == headers["Idempotency-Key"]
    assert raw.headers["idempotent-replayed"] == "true"
    # Also as a stream
    streamed = client.chat.completions.create(**question, stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in streamed)
    assert text == first.choices[0].message.content
    assert len(provider.calls_of(prompt)) == 1
    # Without a key, every call is its own
    question.pop("extra_headers")
    client.chat.completions.create(**question)
    client.chat.completions.create(**question)
    assert len(provider.calls_of(prompt)) == 3
    # And another question under the key is a conflict that is not tried again
    with pytest.raises(openai.ConflictError):
        client.with_options(max_retries=2).chat.completions.create(
            model="gpt-4o-mini", messages=asked("other"), extra_headers=headers
        )


def test_every_parameter_reaches_the_provider_under_its_own_name(
    client: openai.OpenAI, provider: ScriptedProvider
) -> None:
    prompt = f"all {uuid4()}"
    given: dict[str, Any] = {
        "model": "gpt-4o",
        "temperature": 0.25,
        "top_p": 0.5,
        "n": 2,
        "max_tokens": 17,
        "stop": ["END", "\n\n"],
        "seed": 11,
        "presence_penalty": 0.5,
        "frequency_penalty": -0.5,
        "logprobs": True,
        "top_logprobs": 3,
        "logit_bias": {"50256": -100},
        "tools": [TOOL],
        "tool_choice": {"type": "function", "function": {"name": "look_up"}},
        "parallel_tool_calls": False,
        "response_format": {"type": "json_object"},
        "reasoning_effort": "low",
        "verbosity": "low",
        "service_tier": "flex",
        "prompt_cache_key": "cache",
        "safety_identifier": "hash",
        "user": "somebody",
        "store": False,
        "prediction": {"type": "content", "content": "x"},
    }
    client.chat.completions.create(messages=asked(prompt), metadata={"team": "a"}, **given)
    [call] = provider.calls_of(prompt)
    sent = {name: value for name, value in call.parameters.items() if name != "stream"}
    assert sent == given
    # What is left out is the provider's to choose
    client.chat.completions.create(messages=asked(f"{prompt} 2"), model="gpt-4o", max_completion_tokens=5)
    [call] = provider.calls_of(f"{prompt} 2")
    assert call.parameters == {"model": "gpt-4o", "max_completion_tokens": 5, "stream": False}


def test_an_unsupported_parameter_is_named(client: openai.OpenAI, provider: ScriptedProvider) -> None:
    for name, value in (("functions", []), ("audio", {"voice": "alloy"}), ("modalities", ["audio"])):
        with pytest.raises(openai.BadRequestError) as fault:
            client.chat.completions.create(model="gpt-4o-mini", messages=asked("x"), extra_body={name: value})
        assert str(fault.value.param).startswith(name)
        assert fault.value.code in {"unknown_parameter", "invalid_value"}
        assert fault.value.type == "invalid_request_error"
    assert provider.count() == 0


@pytest.mark.parametrize(
    ("words", "kind", "code"),
    [
        ("status=400", openai.BadRequestError, "upstream_rejected"),
        ("status=400 code=context_length_exceeded", openai.BadRequestError, "context_length_exceeded"),
        ("status=401", openai.AuthenticationError, "invalid_api_key"),
        ("status=429 code=insufficient_quota", openai.RateLimitError, "insufficient_quota"),
        ("status=429", openai.RateLimitError, "rate_limit_exceeded"),
        ("status=500", openai.InternalServerError, "upstream_unavailable"),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_error_is_the_clients_own(
    client: openai.OpenAI, words: str, kind: type[openai.APIStatusError], code: str, stream: bool
) -> None:
    with pytest.raises(kind) as fault:
        client.chat.completions.create(
            model="gpt-4o-mini", messages=asked(f"{uuid4()} [[{words}]]"), stream=stream
        )
    assert fault.value.code == code
    assert {"message", "type", "param", "code"} <= set(json.loads(fault.value.response.text)["error"])


def test_tools_go_round(client: openai.OpenAI) -> None:
    messages: Any = asked(f"{uuid4()} [[tool_calls]]")
    first = client.chat.completions.create(model="gpt-4o-mini", messages=messages, tools=[TOOL])
    message = first.choices[0].message
    [call] = message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "look_up"
    result: Any = {"role": "tool", "tool_call_id": call.id, "content": [{"type": "text", "text": "a trial"}]}
    prompt = f"so? {uuid4()}"
    after = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[*messages, message, result, *asked(prompt)],  # type: ignore[list-item] # as people do
        tools=[TOOL],
    )
    assert after.choices[0].message.content == f"echo: {prompt}"


def test_an_image_goes_in(client: openai.OpenAI) -> None:
    prompt = f"what is it? {uuid4()}"
    parts: Any = [
        {"type": "text", "text": prompt},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}},
    ]
    answer = client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": parts}]
    )
    assert answer.choices[0].message.content == f"echo: {prompt}"


class Word(BaseModel):
    """A structured output."""

    word: str


def test_a_structured_output_is_asked_for_and_its_refusal_parsed(
    client: openai.OpenAI, provider: ScriptedProvider
) -> None:
    prompt = f"{uuid4()} [[recorded=refusal]]"
    answer = client.chat.completions.parse(model="gpt-4o-mini", messages=asked(prompt), response_format=Word)
    assert (answer.choices[0].message.parsed, answer.choices[0].message.refusal is None) == (None, False)
    [call] = provider.calls_of(prompt)
    assert call.parameters["response_format"]["json_schema"]["name"] == "Word"


async def test_the_async_client_streams_many_at_once(service_url: str) -> None:
    async with openai.AsyncOpenAI(api_key="unused", base_url=f"{service_url}/v1", max_retries=0) as client:
        prompts = [f"{number} [[token_ms=5]] {uuid4()} in several words" for number in range(20)]
        streams = [
            await client.chat.completions.create(model="gpt-4o-mini", messages=asked(prompt), stream=True)
            for prompt in prompts
        ]
        for prompt, stream in zip(prompts, streams, strict=True):
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
            assert text == f"echo: {prompt}"


def test_models_are_those_that_may_be_asked(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert "gpt-4o-mini" in names
    assert client.models.retrieve("gpt-4o-mini").id == "gpt-4o-mini"
    with pytest.raises(openai.BadRequestError) as fault:
        client.models.retrieve("gpt-nothing")
    assert fault.value.code == "model_not_found"
