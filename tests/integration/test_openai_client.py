"""The provider call against a server: what goes out, what comes back, and how often."""

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from shared.domain.errors import ErrorCode
from tests.support.jobs import make_job
from tests.support.ports import free_port
from tests.support.provider_process import ScriptedProvider
from worker.llm.openai_client import OpenAIClient, connect_openai_client
from worker.ports import LLMError, OutcomeUnknown, RateLimited, Rejected, Unavailable


@pytest.fixture
async def client(provider: ScriptedProvider) -> AsyncIterator[OpenAIClient]:
    async with connect_openai_client(
        provider.base_url, SecretStr("sk-service"), connect_timeout_seconds=5, read_timeout_seconds=0.5
    ) as client:
        yield client


async def test_what_the_caller_asked_goes_out_and_nothing_else(
    client: OpenAIClient, provider: ScriptedProvider
) -> None:
    job = make_job(user_prompt="hello", temperature=0.1, max_tokens=7, top_p=0.5, stop=["x"], seed=3)
    completion = await client.complete(job, 1)
    assert completion.message["content"] == "echo: hello"
    assert completion.usage is not None
    assert completion.confidence is None
    (call,) = provider.ledger()
    sent = call.parameters
    assert sent.pop("max_tokens", None) or sent.pop("max_completion_tokens") == 7
    assert sent == {
        "model": "gpt-4o-mini",
        "temperature": 0.1,
        "top_p": 0.5,
        "stop": ["x"],
        "seed": 3,
        "stream": False,
    }


async def test_logprobs_give_a_confidence(client: OpenAIClient) -> None:
    completion = await client.complete(make_job(logprobs=True), 1)
    assert completion.confidence is not None
    assert 0 < completion.confidence <= 1


async def test_tool_calls_come_back_whole(client: OpenAIClient) -> None:
    completion = await client.complete(make_job(user_prompt="x [[tool_calls]]"), 1)
    assert completion.message["tool_calls"][0]["type"] == "function"
    assert completion.finish_reason == "tool_calls"


@pytest.mark.parametrize(
    "call",
    [{}, {"id": 5}, {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{badly"}}],
    ids=["empty", "no name", "written badly"],
)
async def test_earlier_tool_calls_go_out_as_they_came(client: OpenAIClient, call: dict[str, object]) -> None:
    said = {"type": "ai", "tool_calls": [call]}
    completion = await client.complete(make_job(messages=[said], user_prompt="go on"), 1)
    assert completion.message["content"] == "echo: go on"


async def test_each_caller_is_asked_for_with_its_own_key(
    client: OpenAIClient, provider: ScriptedProvider
) -> None:
    await client.complete(make_job(openai_api_key="sk-caller-AAAA"), 1)
    await client.complete(make_job(openai_api_key="sk-caller-BBBB"), 1)
    await client.complete(make_job(), 1)
    assert [call.key_ending for call in provider.ledger()] == ["AAAA", "BBBB", "vice"]


@pytest.mark.parametrize(
    ("directive", "kind", "code"),
    [
        ("status=429 retry_after=3", RateLimited, ErrorCode.UPSTREAM_RATE_LIMITED),
        ("status=500", Unavailable, ErrorCode.UPSTREAM_UNAVAILABLE),
        ("status=401", Rejected, ErrorCode.UPSTREAM_AUTHENTICATION),
        ("hang", OutcomeUnknown, ErrorCode.UPSTREAM_TIMEOUT),
        ("cut", OutcomeUnknown, ErrorCode.UPSTREAM_UNAVAILABLE),
        ("malformed", OutcomeUnknown, ErrorCode.UPSTREAM_INVALID_RESPONSE),
    ],
)
async def test_every_fault_is_one_call_and_has_its_kind(
    client: OpenAIClient, provider: ScriptedProvider, directive: str, kind: type[LLMError], code: ErrorCode
) -> None:
    with pytest.raises(kind) as fault:
        await client.complete(make_job(user_prompt=f"x [[{directive}]]"), 1)
    assert fault.value.code is code
    # No layer below ours tries again
    assert provider.count() == 1


async def test_a_server_that_is_not_there_was_not_called() -> None:
    async with connect_openai_client(
        f"http://127.0.0.1:{free_port()}/v1", None, connect_timeout_seconds=1, read_timeout_seconds=1
    ) as client:
        with pytest.raises(Unavailable):
            await client.complete(make_job(), 1)


async def test_a_stream_longer_than_allowed_is_cut_off(provider: ScriptedProvider) -> None:
    told: list[object] = []
    connecting = connect_openai_client(
        provider.base_url,
        SecretStr("sk-service"),
        connect_timeout_seconds=5,
        read_timeout_seconds=5,
        max_answer_bytes=20_000,
    )
    async with connecting as client:
        await client.complete(make_job(user_prompt="word " * 1_000), 1, told.append)
        with pytest.raises(OutcomeUnknown, match="WORKER_MAX_ANSWER_BYTES=20000"):
            await client.complete(make_job(user_prompt="word " * 10_000), 1, told.append)
    assert len(told) > 1_000
