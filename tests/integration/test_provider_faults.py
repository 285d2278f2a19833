"""A provider that does everything wrong: one `LLMError` for each, counted, bounded, and nothing told on."""

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta

import psutil
import pytest
from loguru import logger
from pydantic import SecretStr

from shared.adapters.memory_result_store import MemoryResultStore
from shared.domain.errors import ErrorCode
from shared.domain.events import ProviderCalled
from shared.domain.result import Failed
from shared.ports import Finished
from tests.contract.eventually import eventually
from tests.support.jobs import RecordingSink, make_job
from tests.support.processors import make_processor
from tests.support.provider_faults import FAULTS
from tests.support.provider_process import ScriptedProvider
from worker.leases import keep_leases
from worker.llm.observed_client import ObservedClient
from worker.llm.openai_client import OpenAIClient, connect_openai_client
from worker.llm.retrying_client import RetryingClient
from worker.ports import CallHistory, LLMError, OutcomeUnknown, RateLimited, Rejected, Unavailable
from worker.service import JobProcessor
from worker.slots import Slots

_KEY = "sk-canary-0123456789"
_PROMPT = "a canary in the prompt"
_ATTEMPTS = 2
_AT_ONCE = 200
_MEGABYTE = 1_048_576
_ANSWER_MEGABYTES = 2

_INVALID = (OutcomeUnknown, ErrorCode.UPSTREAM_INVALID_RESPONSE)
_BROKEN = (OutcomeUnknown, ErrorCode.UPSTREAM_UNAVAILABLE)
_SILENT = (OutcomeUnknown, ErrorCode.UPSTREAM_TIMEOUT)
_AWAY = (Unavailable, ErrorCode.UPSTREAM_UNAVAILABLE)
_LIMITED = (RateLimited, ErrorCode.UPSTREAM_RATE_LIMITED)
_REFUSED = (Rejected, ErrorCode.UPSTREAM_REJECTED)

_FAULTS: dict[str, tuple[type[LLMError], ErrorCode]] = {
    "status=429": _LIMITED,
    "status=429 retry_after=0": _LIMITED,
    "status=429 retry_after=soon": _LIMITED,
    "status=429 retry_after=nan": _LIMITED,
    "status=429 retry_date=-60": _LIMITED,
    "status=500": _AWAY,
    "status=502": _AWAY,
    "status=503 retry_after=0": _AWAY,
    "status=529": _AWAY,
    "status=504": _SILENT,
    "status=524": _SILENT,
    "status=204": _INVALID,
    "status=301": _REFUSED,
    "status=303": _REFUSED,
    "status=307": _REFUSED,
    "hang": _SILENT,
    "stall": _SILENT,
    "cut": _BROKEN,
    "noise": _INVALID,
    "short_length": _INVALID,
    "endless_body": _INVALID,
    "endless_header": _INVALID,
    "endless_headers": _INVALID,
    "malformed": _INVALID,
    "invalid_utf8": _INVALID,
    "utf16": _INVALID,
    "false_gzip": _INVALID,
    "bomb": _INVALID,
    "list": _INVALID,
    "null": _INVALID,
    "no_choices": _INVALID,
    "null_choices": _INVALID,
    "empty_choices": _INVALID,
    "null_message": _INVALID,
    "foreign_role": _INVALID,
    "number_content": _INVALID,
    "junk_tool_calls": _INVALID,
    "nested": _INVALID,
    "number_finish": _INVALID,
    "error_inside": _INVALID,
}

_HARMLESS = {
    "no_usage": False,
    "negative_usage": False,
    "text_usage": False,
    "list_usage": False,
    "huge_usage": False,
    "junk_details": True,
    "no_model": True,
    "number_model": True,
    "junk_logprobs": True,
    "cookie": True,
    "finish=length": True,
}
"""What leaves the answer usable, and whether its tokens are known."""


def connect(
    provider: ScriptedProvider, *, max_answer_bytes: int = 65_536, read_timeout_seconds: float
) -> AbstractAsyncContextManager[OpenAIClient]:
    return connect_openai_client(
        provider.base_url,
        SecretStr(_KEY),
        connect_timeout_seconds=5,
        read_timeout_seconds=read_timeout_seconds,
        max_answer_bytes=max_answer_bytes,
    )


def retrying(client: OpenAIClient, sink: RecordingSink) -> RetryingClient:
    observed = ObservedClient(client, sink)
    return RetryingClient(
        observed, Slots(1), max_attempts=_ATTEMPTS, backoff_seconds=0.001, max_backoff_seconds=0.001
    )


@asynccontextmanager
async def processing(client: OpenAIClient) -> AsyncIterator[tuple[JobProcessor, MemoryResultStore]]:
    store = MemoryResultStore(timedelta(hours=1))
    async with keep_leases(store, lease_seconds=20) as leases:
        llm = retrying(client, RecordingSink())
        yield (
            make_processor(store, llm, RecordingSink(), leases),
            store,
        )


@pytest.fixture
async def client(provider: ScriptedProvider, request: pytest.FixtureRequest) -> AsyncIterator[OpenAIClient]:
    """Its patience is short for a fault that is silence, and long enough for a busy machine elsewhere."""
    callspec = getattr(request.node, "callspec", None)
    is_silent = callspec is not None and callspec.params.get("directive") in ("hang", "stall")
    async with connect(provider, read_timeout_seconds=0.3 if is_silent else 20) as client:
        yield client


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Every line that anybody logged."""
    lines: list[str] = []
    number = logger.add(lambda line: lines.append(str(line)), level=0, diagnose=False)
    with caplog.at_level(logging.DEBUG):
        yield lines
    logger.remove(number)
    lines += [record.getMessage() for record in caplog.records]


def test_every_word_of_the_provider_is_tried() -> None:
    tried = {word for directive in (*_FAULTS, *_HARMLESS) for word in directive.split()}
    assert tried >= FAULTS - {"drip"}, "drip never ends by itself: see the deadline"


@pytest.mark.parametrize(("directive", "expected"), _FAULTS.items(), ids=_FAULTS.keys())
async def test_a_fault_is_an_error_of_its_kind_and_counted(
    client: OpenAIClient,
    provider: ScriptedProvider,
    told: list[str],
    directive: str,
    expected: tuple[type[LLMError], ErrorCode],
) -> None:
    sink = RecordingSink()

    with pytest.raises(LLMError) as caught:
        await retrying(client, sink).complete(
            make_job(user_prompt=f"{_PROMPT} [[{directive}]]"), CallHistory(1)
        )

    fault = caught.value
    assert (type(fault), fault.code) == expected
    # Every call that the provider saw is counted, and no layer below made one of its own
    calls = provider.count()
    assert calls == (1 if isinstance(fault, Rejected) else _ATTEMPTS)
    assert fault.attempts == calls == len(sink.of(ProviderCalled))
    # Repeating a call that may have been charged is admitted, and nothing else is
    assert fault.possible_duplicate_charge == isinstance(fault, OutcomeUnknown)
    # And nobody hears the key or the prompt
    everything = "\n".join(
        [*told, *traceback.format_exception(fault), repr(fault), f"{fault.provider_message}"]
    )
    assert _KEY not in everything
    assert _PROMPT not in everything


@pytest.mark.parametrize("directive", [word for word, (kind, _) in _FAULTS.items() if kind is OutcomeUnknown])
async def test_an_unknown_outcome_is_one_call_where_the_job_says_fail(
    client: OpenAIClient, provider: ScriptedProvider, directive: str
) -> None:
    job = make_job(user_prompt=f"x [[{directive}]]", on_unknown="fail")
    with pytest.raises(OutcomeUnknown) as caught:
        await retrying(client, RecordingSink()).complete(job, CallHistory(1))
    assert (provider.count(), caught.value.attempts) == (1, 1)
    assert not caught.value.possible_duplicate_charge


@pytest.mark.parametrize("directive", _FAULTS)
async def test_the_call_after_a_fault_is_as_good_as_any(client: OpenAIClient, directive: str) -> None:
    with pytest.raises(LLMError):
        await client.complete(make_job(user_prompt=f"x [[{directive}]]"), 1)
    completion = await client.complete(make_job(user_prompt="afterwards"), 1)
    assert completion.message["content"] == "echo: afterwards"


@pytest.mark.parametrize(("directive", "knows_tokens"), _HARMLESS.items(), ids=_HARMLESS.keys())
async def test_a_paid_answer_is_not_thrown_away_for_what_stands_beside_it(
    client: OpenAIClient, provider: ScriptedProvider, directive: str, knows_tokens: bool
) -> None:
    prompt = f"x [[{directive}]]"
    completion = await retrying(client, RecordingSink()).complete(
        make_job(user_prompt=prompt, logprobs=True), CallHistory(1)
    )
    assert completion.message["content"] == f"echo: {prompt}"
    assert (completion.usage is not None) == knows_tokens
    assert completion.model == "gpt-4o-mini"
    assert (completion.confidence is not None) == (directive != "junk_logprobs")
    assert completion.finish_reason == ("length" if directive == "finish=length" else "stop")
    assert provider.count() == 1


@pytest.mark.parametrize(
    ("form", "least", "most"),
    [
        ("retry_after=3", 3, 3),
        ("retry_after=0.25", 0.25, 0.25),
        ("retry_after=-3", 0, 0),
        ("retry_after=99999999999", 86_400, 86_400),
        ("retry_date=60", 50, 60),
        ("retry_date=-60", 0, 0),
    ],
)
async def test_retry_after_is_read_in_every_form_and_bounded(
    client: OpenAIClient, form: str, least: float, most: float
) -> None:
    with pytest.raises(RateLimited) as caught:
        await client.complete(make_job(user_prompt=f"x [[status=429 {form}]]"), 1)
    assert caught.value.retry_after_seconds is not None
    assert least <= caught.value.retry_after_seconds <= most


@pytest.mark.parametrize("form", ["", "retry_after=soon", "retry_after=nan", "retry_after=1e999"])
async def test_no_retry_after_is_made_of_garbage(client: OpenAIClient, form: str) -> None:
    with pytest.raises(RateLimited) as caught:
        await client.complete(make_job(user_prompt=f"x [[status=429 {form}]]"), 1)
    assert caught.value.retry_after_seconds is None


async def test_what_one_caller_is_given_does_not_go_out_with_anothers_key(provider: ScriptedProvider) -> None:
    named = provider.base_url.replace("127.0.0.1", "localhost")  # an address alone is given no cookies
    async with connect_openai_client(
        named, None, connect_timeout_seconds=5, read_timeout_seconds=20
    ) as client:
        await client.complete(make_job(user_prompt="x [[cookie]]"), 1)
        await client.complete(make_job(openai_api_key="sk-another"), 1)
    assert not any(call.has_cookie for call in provider.ledger())


async def test_a_call_without_any_key_is_no_attempt() -> None:
    sink = RecordingSink()
    async with connect_openai_client(
        "https://api.openai.com/v1", None, connect_timeout_seconds=1, read_timeout_seconds=1
    ) as client:
        with pytest.raises(Rejected) as caught:
            await retrying(client, sink).complete(make_job(), CallHistory(1))
    assert caught.value.code is ErrorCode.MISSING_API_KEY
    assert (caught.value.attempts, sink.of(ProviderCalled)) == (0, [])


@pytest.mark.parametrize("directive", ["hang", "stall", "drip", "status=429 retry_after=60"])
async def test_no_fault_outlasts_the_deadline(provider: ScriptedProvider, directive: str) -> None:
    async with connect(provider, read_timeout_seconds=60) as client, processing(client) as (processor, store):
        job = make_job(user_prompt=f"x [[{directive}]]", deadline_in=timedelta(seconds=1))
        await processor.process(job)
        known = await store.get(job.id)
    assert isinstance(known, Finished)
    assert isinstance(known.result, Failed)
    assert known.result.attempts == provider.count() == 1
    assert known.result.status == ("failed" if "429" in directive else "expired")

    async def is_left() -> bool:
        return all(call.was_disconnected or call.status for call in provider.ledger())

    await eventually(is_left)


async def test_endless_answers_at_once_leave_the_memory_alone(provider: ScriptedProvider) -> None:
    job = make_job(user_prompt="x [[endless_body]]", on_unknown="fail")
    peak = asyncio.create_task(_peak_megabytes())
    before = _megabytes()
    async with connect(
        provider, max_answer_bytes=_ANSWER_MEGABYTES * _MEGABYTE, read_timeout_seconds=60
    ) as client:
        faults = await asyncio.gather(
            *(client.complete(job, 1) for _ in range(_AT_ONCE)), return_exceptions=True
        )
    peak.cancel()
    grown = await peak - before

    print(f"grown by {grown:.0f} MB under {_AT_ONCE} endless answers")
    assert {(type(fault), getattr(fault, "code", None)) for fault in faults} == {_INVALID}
    assert provider.count() == _AT_ONCE
    # All of them, held at once, would be twice that.
    assert grown < _AT_ONCE * _ANSWER_MEGABYTES / 2


def _megabytes() -> float:
    return float(psutil.Process().memory_info().rss) / _MEGABYTE


async def _peak_megabytes() -> float:
    """Until cancelled: the most memory that this process had at any look."""
    peak = 0.0
    try:
        while True:
            peak = max(peak, _megabytes())
            await asyncio.sleep(0.01)
    except asyncio.CancelledError:
        return peak
