"""What the spans of a worker tell, and what they never do."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from shared.domain.errors import ErrorCode
from shared.domain.job import Job
from shared.domain.result import Usage
from tests.support.jobs import make_job
from tests.support.told_spans import ToldSpans, attributes_of, told_spans
from worker.llm.traced_client import TracedClient, traced
from worker.ports import Completion, LLMError, RateLimited, Record, Rejected, Tell
from worker.service import Done, LookAgain, Outcome
from worker.traced_jobs import TracedJobs
from worker.traced_records import TracedRecords

URL = "https://llm.example/v1"
KEY = "sk-0123456789abcdef0123456789"


@pytest.fixture
def told() -> Iterator[ToldSpans]:
    with told_spans() as told:
        yield told


@dataclass
class Provider:
    """Answers, or raises what it is given; one that hangs says so first."""

    end: Completion | LLMError | asyncio.Event

    async def complete(self, job: Job, attempt: int, tell: Tell | None = None) -> Completion:
        if isinstance(self.end, LLMError):
            raise self.end
        if isinstance(self.end, asyncio.Event):
            self.end.set()
            await asyncio.Event().wait()
        assert isinstance(self.end, Completion)
        return self.end


def completion(model: str = "gpt-4o-mini-2024", finish_reason: str | None = "stop") -> Completion:
    return Completion(
        model=model,
        message={"role": "assistant", "content": "the answer"},
        finish_reason=finish_reason,
        confidence=None,
        usage=Usage(prompt_tokens=5, completion_tokens=2, total_tokens=7),
        cached_tokens=3,
        latency_ms=1.0,
        answer={"id": "chatcmpl-1"},
    )


@dataclass
class FakeRecord:
    headers: Sequence[tuple[str, bytes]] = ()
    topic: str = "jobs"
    partition: int = 3
    offset: int = 7
    timestamp: int = 0
    key: bytes | None = KEY.encode()
    value: bytes | None = b"the question"


async def test_an_attempt_tells_models_numbers_and_no_content(told: ToldSpans) -> None:
    job = make_job(user_prompt="the question", stop=["the word"], max_tokens=9, top_p=0.5, stream=True)
    await TracedClient(Provider(completion()), told.tracing, URL).complete(job, 2)
    attributes = attributes_of(told.only)
    assert attributes.pop("request_id") == job.id.request_id
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.request.temperature": 0.7,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.top_p": 0.5,
        "gen_ai.request.stream": True,
        "gen_ai.response.model": "gpt-4o-mini-2024",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 5,
        "gen_ai.usage.output_tokens": 2,
        "gen_ai.usage.cache_read.input_tokens": 3,
        "server.address": "llm.example",
        "server.port": 443,
        "owner": "public",
        "llm.attempt": 2,
    }
    assert told.only.name == "chat gpt-4o-mini"


async def test_what_a_provider_writes_is_bounded_and_no_key(told: ToldSpans) -> None:
    client = TracedClient(
        Provider(completion(model=f"{KEY} {'x' * 10_000}", finish_reason=KEY)), told.tracing, URL
    )
    await client.complete(make_job(), 1)
    assert KEY not in told.only.to_json()
    assert len(told.only.to_json()) < 3000


async def test_a_failed_attempt_tells_its_code_and_not_the_providers_words(told: ToldSpans) -> None:
    fault = Rejected(ErrorCode.UPSTREAM_REJECTED, "refused", provider_message="the question is bad")
    with pytest.raises(Rejected):
        await TracedClient(Provider(fault), told.tracing, URL).complete(make_job(), 1)
    assert attributes_of(told.only)["error.type"] == "UPSTREAM_REJECTED"
    assert not told.only.status.is_ok
    assert "the question" not in told.only.to_json()


async def test_what_could_not_be_asked_is_no_attempt(told: ToldSpans) -> None:
    fault = RateLimited("nothing was sent")
    fault.attempts = 0
    with pytest.raises(RateLimited):
        await TracedClient(Provider(fault), told.tracing, URL).complete(make_job(), 1)
    assert told.spans == []


async def test_an_attempt_that_is_cut_off_is_told(told: ToldSpans) -> None:
    called = asyncio.Event()
    call = asyncio.ensure_future(TracedClient(Provider(called), told.tracing, URL).complete(make_job(), 1))
    await called.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert attributes_of(told.only)["error.type"] == "CancelledError"


def test_without_traces_the_client_is_itself() -> None:
    client = Provider(completion())
    assert traced(client, None, URL) is client


async def test_a_record_tells_where_it_stands_and_not_what_is_in_it(told: ToldSpans) -> None:
    async def handle(_: Record) -> float | None:
        return None

    ids = [(f"{number}" * 32, f"{number}" * 16) for number in (1, 2)]
    headers = [("traceparent", f"00-{trace_id}-{span_id}-01".encode()) for trace_id, span_id in ids]
    await TracedRecords(handle, told.tracing, "workers").handle(FakeRecord(headers))
    assert told.only.parent is not None
    assert f"{told.only.parent.span_id:x}" == ids[1][1]  # the last header of a name counts
    assert attributes_of(told.only) == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "jobs",
        "messaging.destination.partition.id": "3",
        "messaging.kafka.offset": 7,
        "messaging.consumer.group.name": "workers",
    }


async def test_a_record_that_is_looked_at_again_is_told_once(told: ToldSpans) -> None:
    outcomes = [0.1, 0.2, None]

    async def handle(_: Record) -> float | None:
        return outcomes.pop(0)

    records = TracedRecords(handle, told.tracing, "workers")
    while await records.handle(FakeRecord()) is not None:
        pass
    assert told.only.name == "process jobs"


async def test_in_one_process_a_job_has_a_span_when_it_is_done(told: ToldSpans) -> None:
    outcomes: list[Outcome] = [LookAgain(0.1), Done()]

    class Jobs:
        async def process(self, job: Job, *, may_have_run: bool = False) -> Outcome:
            return outcomes.pop(0)

    job = make_job()
    while isinstance(await TracedJobs(Jobs(), told.tracing).process(job), LookAgain):
        pass
    assert attributes_of(told.only)["request_id"] == job.id.request_id
